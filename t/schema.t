# The database defends itself: each invariant finds what breaks it, each CHECK
# refuses its bad row, and the worker's account can do what it needs and
# nothing else.  And the halls that tests and the demonstration are made of.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::MariaDB;

my $db = Ticket::MariaDB->new(dir => temp_dir());
my ($FUTURE, $PAST) = ("'2099-12-01 19:00:00'", "'2020-12-01 19:00:00'");

# The id of owner 'hall/1-NUMBER' in the performance, as hexadecimal digits.
sub id { return sprintf '%08x%08x%s', @_, substr '0123456789abcdef', 0, 16 }

# A row of hold, of hall/1-NUMBER unless another owner is named.
sub hold {
    my ($performance, $number, %hold) = @_;
    my $value = sub { $_[0] // 'NULL' };
    return sprintf "INSERT INTO hold (id, performance_id, owner, visitor, state, units, ttl_ms, created_at, expires_at,
                                      fingerprint, items)
                    VALUES (UNHEX('%s'), %d, '%s', %s, '%s', %d, 300000, UTC_TIMESTAMP(3), %s, REPEAT('f', 16), '%s');\n",
        $hold{id} // id($performance, $number), $performance, $hold{owner} // "hall/1-$number", $hold{visitor} // 'NULL',
        $hold{state} // 'active', $hold{units} // 1, $hold{expires} // $FUTURE, $hold{items};
}

# What a seat's row is set to when a hold takes it.
sub held { return "state = 'held', version = version + 1, hold_id = UNHEX('$_[0]'), expires_at = $_[1]" }

$db->add_hall(
    id => 1, room => 'hall', ttl_ms => 60_000, max_ms => 90_000, max_per_user => 4,
    sale_opens_at => 'UTC_TIMESTAMP(3) - INTERVAL 1 HOUR', sale_closes_at => $FUTURE,
    sections => [{name => 'Front', rows => 2, seats_per_row => 10, tier => 'gold', focal => [7, -7]},
                 {name => 'Back', rows => 3, seats_per_row => 12}],
    pools => [{name => 'floor', capacity => 21, buckets => 4},
              {name => 'bar', tier => 'gold', capacity => 5}]);
$db->add_performance(2, 'hall', 300_000, map { "A-$_" } 1 .. 25);

subtest 'halls for tests' => sub {
    is_deeply $db->rows('SELECT room, hold_ttl_ms, hold_max_ms, max_per_user, sale_opens_at < UTC_TIMESTAMP(3),
                                sale_closes_at, starts_at FROM performance WHERE id = 1'),
        [['hall', 60000, 90000, 4, 1, '2099-12-01 19:00:00.000', undef]], 'a performance as wanted';
    is_deeply $db->rows('SELECT section_no, name, focal_x, focal_y FROM map_section WHERE map_id = 1'),
        [[0, 'Front', 7, -7], [1, 'Back', 650, 100]], 'its sections';
    is_deeply $db->rows("SELECT MIN(seat_no), MAX(seat_no), COUNT(*), tier, MAX(x), MAX(y) FROM map_seat
                         WHERE map_id = 1 GROUP BY tier"),
        [[0, 19, 20, 'gold', 1000, 200], [20, 55, 36, 'standard', 1200, 300]], 'its seats';
    is $db->seat(1, 'Back-3-12')->{seat_no}, 55, 'are named and numbered';
    is_deeply $db->rows('SELECT pool_no, GROUP_CONCAT(capacity ORDER BY bucket) FROM pool_bucket GROUP BY pool_no'),
        [[0, '6,5,5,5'], [1, 5]], 'its pools';
    is_deeply $db->rows("SELECT row_no, pos, tier FROM map_seat JOIN performance p USING (map_id)
                         WHERE p.id = 2 AND map_seat.name IN ('A-1', 'A-25')"),
        [[0, 0, 'standard'], [2, 4, 'standard']], 'and one in rows of ten';
    is_deeply $db->seat(2, 'A-2'), {performance_id => 2, seat => 'A-2', seat_no => 1, state => 'free', version => 0,
                                    hold_id => undef, expires_at => undef}, 'seat';
    for my $state (qw(sold blocked sold free)) {
        $db->set_seat(2, 'A-2', $state);
        is $db->seat(2, 'A-2')->{state}, $state, "set_seat: $state";
        is $db->broken, '', '... and the invariants hold';
    }
    is $db->seat(2, 'A-2')->{version}, 4, '... with a version each';
};

# What the following breaks: a living hold of two seats and three places, one
# that has run out, one that was released, a sold seat, a kept answer.
my ($living, $lapsed) = (id(1, 7), id(1, 8));
my $visitor = "UNHEX(REPEAT('ab', 16))";
$db->load(hold(1, 7, units => 4, visitor => $visitor, items => '{"seats":[[0,1]],"pools":[[0,0,2],[1,0,1]]}'),
          'UPDATE seat SET ' . held($living, $FUTURE) . " WHERE performance_id = 1 AND seat_no = 0;
          UPDATE pool_bucket SET held = 2 WHERE performance_id = 1 AND pool_no = 0 AND bucket = 0;
          UPDATE pool_bucket SET held = 1 WHERE performance_id = 1 AND pool_no = 1;
          INSERT INTO user_limit VALUES (1, $visitor, 4, 0, 4);\n",
          hold(1, 8, units => 2, expires => $PAST, items => '{"seats":[[2,1],[3,1]],"pools":[]}'),
          'UPDATE seat SET ' . held($lapsed, $PAST) . " WHERE performance_id = 1 AND seat_no = 2;\n",
          hold(1, 9, state => 'released', items => '{"seats":[[2,1]],"pools":[]}'),
          "INSERT INTO idempotency VALUES ('hall/1-7', 'key', REPEAT('f', 16), 200, '', '{}', UTC_TIMESTAMP(3))");
$db->set_seat(1, 'Front-1-5', 'sold');
$db->do("INSERT INTO seat_map (id, venue_id, name) VALUES (77, 1, 'Not used')");

# More than one name: the rules overlap there.
my @breaks = (
    ['a sold seat without its sale', 's1_sold_seat_has_its_sale', 'DELETE FROM sale'],
    ['a sale to another order', 's1_sold_seat_has_its_sale', "UPDATE sale SET order_id = REPEAT('x', 16)"],
    ['a sale of a seat that is free', 's1_sold_seat_has_its_sale', "INSERT INTO sale VALUES (1, 30, REPEAT('x', 16))"],
    ['a sale of no seat', 's1_sold_seat_has_its_sale', "INSERT INTO sale VALUES (1, 300, REPEAT('x', 16))"],
    ['a seat sold twice', 's1_seat_sold_once',
     'ALTER TABLE sale DROP PRIMARY KEY; INSERT INTO sale SELECT * FROM sale',
     'ALTER TABLE sale ADD PRIMARY KEY (performance_id, seat_no)'],
    ['a seat twice in a hold', 's2_seat_in_one_living_hold',
     "UPDATE hold SET items = '{\"seats\":[[0,1],[0,1]],\"pools\":[[0,0,2],[1,0,1]]}', units = 5 WHERE id = UNHEX('$living');
      UPDATE user_limit SET held = 5, max_units = 5"],
    ['a seat in two holds', 's2_living_hold_has_its_seats s2_seat_in_one_living_hold',
     hold(1, 10, items => '{"seats":[[0,1]],"pools":[]}')],
    ['a seat that its hold has lost', 's2_living_hold_has_its_seats',
     "UPDATE seat SET state = 'free', hold_id = NULL, expires_at = NULL WHERE seat_no = 0 AND performance_id = 1"],
    ['a seat that no performance has', 's2_living_hold_has_its_seats',
     hold(1, 10, items => '{"seats":[[300,1]],"pools":[]}')],
    ['a seat that is not in its hold', 's2_held_seat_is_in_its_hold',
     'UPDATE seat SET ' . held($living, $FUTURE) . ' WHERE performance_id = 1 AND seat_no = 1'],
    ['a seat that runs out at another time', 's2_held_seat_is_in_its_hold s2_living_hold_has_its_seats',
     "UPDATE seat SET expires_at = expires_at + INTERVAL 1 SECOND WHERE hold_id = UNHEX('$living')"],
    ['a seat held by a hold of another performance', 's2_held_seat_is_in_its_hold',
     'UPDATE seat SET ' . held($living, $FUTURE) . ' WHERE performance_id = 2 AND seat_no = 0'],
    ['a seat held by no hold', 's2_held_seat_is_in_its_hold',
     'UPDATE seat SET ' . held(id(1, 11), $PAST) . ' WHERE performance_id = 1 AND seat_no = 2'],
    ['a hold that was ended without its seat', 's2_held_seat_is_in_its_hold',
     "UPDATE hold SET state = 'expired' WHERE id = UNHEX('$lapsed')"],
    ['a bucket that is too full', 's3_bucket_within_capacity', 'UPDATE pool_bucket SET sold = capacity WHERE held > 0'],
    ['a bucket that counts too much', 's3_bucket_counts_its_holds', 'UPDATE pool_bucket SET held = held + 1 WHERE bucket = 3'],
    ['a bucket that counts too little', 's3_bucket_counts_its_holds', 'UPDATE pool_bucket SET held = 0 WHERE pool_no = 1'],
    ['places of no bucket', 's3_bucket_counts_its_holds',
     hold(1, 10, items => '{"seats":[],"pools":[[0,9,1]]}')],
    ['a visitor above the limit', 's3_visitor_within_limit', 'UPDATE user_limit SET bought = 1'],
    ['a visitor of whom too little is counted', 's3_limit_counts_its_holds', 'UPDATE user_limit SET held = 3'],
    ['a visitor of whom something is counted', 's3_limit_counts_its_holds',
     "INSERT INTO user_limit VALUES (1, REPEAT('x', 16), 1, 0, 4)"],
    ['a visitor who is not counted', 's3_limit_counts_its_holds', 'DELETE FROM user_limit'],
    ['an id of another performance', 's6_hold_id_is_of_its_owner',
     "UPDATE hold SET id = UNHEX('@{[id(2, 9)]}') WHERE state = 'released'"],
    ['an id of another number', 's6_hold_id_is_of_its_owner',
     "UPDATE hold SET id = UNHEX('@{[id(1, 10)]}') WHERE state = 'released'"],
    ['a hold made twice', 's6_hold_made_once',
     "ALTER TABLE hold DROP PRIMARY KEY; INSERT INTO hold SELECT * FROM hold WHERE state = 'released'",
     'ALTER TABLE hold ADD PRIMARY KEY (id)'],
    ['an answer that is none yet', 's6_answer_is_final', 'UPDATE idempotency SET status = 0'],
    ['an answer that is not final', 's6_answer_is_final', 'UPDATE idempotency SET status = 503'],
    ['an answer without a body', 's6_answer_is_final', "UPDATE idempotency SET body = ''"],
    ['a hold of more places than it has', 'hold_is_whole', "UPDATE hold SET units = 3 WHERE id = UNHEX('$lapsed')"],
    ['a hold of no place of a bucket', 'hold_is_whole',
     "UPDATE hold SET items = '{\"seats\":[[2,1],[3,1]],\"pools\":[[0,1,0]]}' WHERE id = UNHEX('$lapsed')"],
    ['a hold of another room', 'hold_in_own_performance', "UPDATE hold SET owner = 'hal/1-9' WHERE state = 'released'"],
    ['a hold of a longer room', 'hold_in_own_performance', "UPDATE hold SET owner = 'hall:x/1-9' WHERE state = 'released'"],
    ['a hold of no performance', 'hold_in_own_performance',
     hold(99, 9, state => 'released', items => '{"seats":[[2,1]],"pools":[]}')],
    ['seats out of order', 'map_is_numbered', 'UPDATE map_seat SET pos = 11 WHERE map_id = 1 AND seat_no = 0'],
    ['a gap in the sections', 'map_is_numbered', "INSERT INTO map_section VALUES (77, 1, 'S', 0, 0)"],
    ['a gap in the pools', 'map_is_numbered', "INSERT INTO map_pool VALUES (77, 1, 'pool', 'standing', 1)"],
    ['a seat that the map has besides', 'performance_has_its_seats',
     "INSERT INTO map_seat VALUES (1, 56, 'new', 1, 9, 1, 'gold', 0, 0)"],
    ['a seat that the map has not', 'performance_has_its_seats', 'INSERT INTO seat (performance_id, seat_no) VALUES (1, 56)'],
    ['seats of no performance', 'performance_has_its_seats', 'INSERT INTO seat (performance_id, seat_no) VALUES (99, 0)'],
    ['a bucket with more places', 'performance_has_its_pools', 'UPDATE pool_bucket SET capacity = capacity + 1 WHERE bucket = 2'],
    ['a bucket that is missing', 'performance_has_its_pools',
     'UPDATE pool_bucket SET capacity = 10 WHERE bucket = 1; DELETE FROM pool_bucket WHERE bucket = 2'],
    ['a pool without buckets', 'performance_has_its_pools', "INSERT INTO map_pool VALUES (1, 2, 'empty', 'standing', 1)"],
    ['buckets of no pool', 'performance_has_its_pools',
     'INSERT INTO pool_bucket (performance_id, pool_no, bucket, capacity) VALUES (1, 2, 0, 1)'],
);

subtest 'each invariant finds what breaks it' => sub {
    my @tables = map { $_->[0] } @{$db->rows("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")};
    my $unchecked = 'SET SESSION foreign_key_checks = 0, check_constraint_checks = 0;';
    $db->load(map { "CREATE TABLE kept_$_ AS SELECT * FROM $_;\n" } @tables);
    is_deeply [$db->script('check-invariants')], [0, '', ''], 'all is well';

    my %found;
    for my $break (@breaks) {
        my ($what, $names, $sql, $mend) = @$break;
        $db->load("$unchecked $sql");
        my ($status, $out, $err) = $db->script('check-invariants');
        my @named = $out =~ /^broken: (\S+)$/mg;
        is "$status: @named", "1: $names", $what;
        like $out, qr/^broken: \S+\n\w+(?:\t\w+)+\n[^\t\n]+\t/m, '... with the rows';
        $found{$_}++ for @named;
        $db->load($unchecked, (map { "DELETE FROM $_; INSERT INTO $_ SELECT * FROM kept_$_;\n" } @tables), $mend // ());
    }
    is $db->broken, '', 'all is well again';
    my @files = map { m{([^/]+)\.sql$} } glob root_dir() . '/sql/invariants/*.sql';
    is_deeply [grep { !$found{$_} } @files], [], 'no invariant was left out';
    like slurp(root_dir() . "/sql/invariants/$_.sql"), qr/\A-- \S/, "$_ says what it is for" for @files;

    $db->do('RENAME TABLE sale TO sail');
    my ($status, undef, $err) = $db->script('check-invariants');
    is $status, 2, 'what cannot be asked is not well';
    like $err, qr/check-invariants: s1_seat_sold_once\.sql could not be run/, '... saying so';
    $db->do('RENAME TABLE sail TO sale');
    $db->load(map { "DROP TABLE kept_$_;\n" } @tables);
};

subtest 'each CHECK refuses its bad row' => sub {
    my $seat = 'UPDATE seat SET';
    my $at = 'WHERE performance_id = 1 AND seat_no = 20';
    my %bad = (
        performance_room         => ["UPDATE performance SET room = '' WHERE id = 1"],
        performance_hold_ttl     => ['UPDATE performance SET hold_ttl_ms = 999 WHERE id = 1'],
        performance_hold_max     => ['UPDATE performance SET hold_max_ms = 59999 WHERE id = 1',
                                     'UPDATE performance SET hold_max_ms = 86400001 WHERE id = 1'],
        performance_window       => ['UPDATE performance SET sale_closes_at = sale_opens_at WHERE id = 1'],
        performance_max_per_user => ['UPDATE performance SET max_per_user = 0 WHERE id = 1'],
        venue_name               => ["INSERT INTO venue (name) VALUES ('')"],
        seat_map_name            => ["INSERT INTO seat_map (venue_id, name) VALUES (1, '')"],
        map_section_named        => ["INSERT INTO map_section VALUES (1, 9, '', 0, 0)"],
        map_seat_named           => ["INSERT INTO map_seat VALUES (1, 99, '', 1, 9, 9, 'gold', 0, 0)"],
        map_seat_tier            => ["INSERT INTO map_seat VALUES (1, 99, 'X', 1, 9, 9, '', 0, 0)"],
        map_pool_named           => ["INSERT INTO map_pool VALUES (1, 9, '', 'gold', 1)"],
        map_pool_tier            => ["INSERT INTO map_pool VALUES (1, 9, 'x', '', 1)"],
        seat_state               => ["$seat state = 'held' $at", "$seat state = 'sold' $at", "$seat hold_id = REPEAT('h', 16) $at",
                                     "$seat expires_at = $FUTURE $at", "$seat order_id = REPEAT('o', 16) $at",
                                     "$seat state = 'blocked', order_id = REPEAT('o', 16) $at",
                                     "$seat state = 'held', hold_id = REPEAT('h', 16) $at",
                                     "$seat state = 'held', expires_at = $FUTURE $at",
                                     "$seat order_id = REPEAT('o', 16) WHERE state = 'held' AND seat_no = 0",
                                     "$seat hold_id = REPEAT('h', 16) WHERE state = 'sold'",
                                     "$seat expires_at = $FUTURE WHERE state = 'sold'"],
        pool_bucket_capacity     => ['UPDATE pool_bucket SET held = capacity + 1', 'UPDATE pool_bucket SET sold = capacity WHERE held > 0'],
        user_limit_max           => ['UPDATE user_limit SET bought = 1', 'UPDATE user_limit SET held = 5'],
        hold_of_owner            => ["UPDATE hold SET owner = ''"],
        hold_units               => ['UPDATE hold SET units = 0'],
        hold_items               => ["UPDATE hold SET items = '{\"seats\":['"],
    );
    for my $name (sort keys %bad) {
        for my $sql (@{$bad{$name}}) {
            ok !eval { $db->do($sql); 1 }, "refused: $sql";
            like $@, qr/\b4025\b.*\b$name\b/, "... by $name";
        }
    }
    is_deeply [sort map { $_->[0] } @{$db->rows('SELECT constraint_name FROM information_schema.check_constraints
                                                 WHERE constraint_schema = DATABASE()')}],
        [sort keys %bad], 'no CHECK was left out';

    my @also = (["INSERT INTO sale VALUES (1, 4, REPEAT('x', 16))", qr/1062/, 'a second sale of a seat'],
                [hold(1, 9, items => '{}'), qr/1062/, 'a second hold of an id'],
                ["INSERT INTO idempotency SELECT * FROM idempotency", qr/1062/, 'a second answer to a key'],
                ['UPDATE pool_bucket SET held = held - 1 WHERE held = 0', qr/1690/, 'less than nothing held'],
                ['INSERT INTO seat (performance_id, seat_no) VALUES (99, 0)', qr/1452/, 'a seat of no performance'],
                ["INSERT INTO map_seat VALUES (1, 99, 'X', 9, 9, 9, 'gold', 0, 0)", qr/1452/, 'a seat of no section'],
                ['DELETE FROM seat_map WHERE id = 1', qr/1451/, 'deleting a map that is used'],
                ["INSERT INTO map_section VALUES (1, 9, 'Back', 0, 0)", qr/1062/, 'a section of the same name']);
    for my $case (@also) {
        ok !eval { $db->do($case->[0]); 1 }, "refused: $case->[2]";
        like $@, $case->[1], '... by its key';
    }
    $db->do("INSERT INTO map_section VALUES (77, 0, 'Block A', 0, 0), (77, 1, 'Block a', 0, 0)");
    $db->load("INSERT INTO map_section VALUES (77, 2, 'Block \xc3\x84', 0, 0)");
    is $db->value("SELECT HEX(name) FROM map_section WHERE map_id = 77 AND section_no = 2"), '426C6F636B20C384',
        'but names that differ in a letter are different names';
};

# Whether the account may do that, which changes nothing.
sub may {
    my ($who, $sql) = @_;
    my ($status, undef, $err) = run('mariadb', '--no-defaults', '--socket=' . $who->socket, '--user=' . $who->user,
                                    "--password=$who->{password}", $who->schema, '-e', $sql);
    return 1 if !$status;
    die $err if $err !~ /denied/;
    return 0;
}

subtest "the worker's account" => sub {
    my %try = (S => 'SELECT 1 FROM %1$s LIMIT 0', I => 'INSERT INTO %1$s SELECT * FROM %1$s WHERE FALSE',
               U => 'UPDATE %1$s SET %2$s = %2$s WHERE FALSE', D => 'DELETE FROM %1$s WHERE FALSE');
    my %sells = (venue => 'S', seat_map => 'S', map_section => 'S', map_seat => 'S', map_pool => 'S', performance => 'S',
                 seat => 'SU', pool_bucket => 'SU', user_limit => 'SIU', hold => 'SIU', sale => 'SI',
                 idempotency => 'SIU', outbox => 'SID', schema_migration => '', seat_now => 'S');
    my %manages = (%sells, venue => 'SIU', seat_map => 'SIU', map_section => 'SID', map_seat => 'SID',
                   map_pool => 'SID', performance => 'SIU', seat => 'SIU', pool_bucket => 'SIU');
    my $dir = temp_dir() . '/seller';
    mkdir $dir or die "mkdir $dir: $!\n";
    my $seller = Ticket::MariaDB->new(dir => $dir, admin => 0);

    for my $case (['without the admin routes', $seller, \%sells], ['with them', $db, \%manages]) {
        my ($name, $who, $rights) = @$case;
        my %column = map { @$_ } @{$who->rows('SELECT table_name, MIN(column_name) FROM information_schema.columns
                                               WHERE table_schema = DATABASE() GROUP BY table_name')};
        # The view is not to be written to at all.
        my %may = map {
            my $table = $_;
            my @verbs = $table eq 'seat_now' ? 'S' : qw(S I U D);
            $table => join '', grep { may($who, sprintf $try{$_}, $table, $column{$table}) } @verbs;
        } keys %column;
        is_deeply \%may, $rights, $name;
        my @never = ('DROP TABLE outbox', 'TRUNCATE TABLE outbox', 'ALTER TABLE hold ADD COLUMN x INT',
                     'CREATE TABLE x (id INT)', 'CREATE VIEW x AS SELECT 1', 'SELECT 1 FROM mysql.user',
                     'DROP VIEW seat_now', "GRANT SELECT ON hold TO '@{[$who->user]}'\@'localhost'");
        ok !may($who, $_), "never: $_" for @never;
    }
};

subtest 'the demonstration hall' => sub {
    my @before = ($db->rows('SELECT * FROM performance'), $db->value('SELECT COUNT(*) FROM seat'));
    is_deeply [$db->script('demo-hall')], [0, '', ''], 'a database that has performance 1';
    is_deeply [$db->rows('SELECT * FROM performance'), $db->value('SELECT COUNT(*) FROM seat')], \@before, '... is left alone';

    my $dir = temp_dir() . '/demo';
    mkdir $dir or die "mkdir $dir: $!\n";
    my $demo = Ticket::MariaDB->new(dir => $dir);
    is_deeply [$demo->script('demo-hall')], [0, '', ''], 'an empty one gets it';
    is_deeply $demo->rows('SELECT p.id, p.room, p.hold_ttl_ms, COUNT(*), MIN(n.seat_no), MAX(n.seat_no)
                           FROM performance p JOIN seat_now n ON n.performance_id = p.id GROUP BY p.id'),
        [[1, 'demo', 300000, 1000, 0, 999]], 'with a thousand seats';
    is_deeply $demo->rows("SELECT MIN(row_no), MAX(row_no), tier, COUNT(*), MAX(pos) FROM map_seat GROUP BY tier ORDER BY 1"),
        [[1, 5, 'gold', 200, 40], [6, 15, 'silver', 400, 40], [16, 25, 'standard', 400, 40]], 'in three tiers';
    is_deeply [map { $demo->seat(1, $_)->{seat_no} } qw(A-1 A-40 B-1 Y-40)], [0, 39, 40, 999], 'A-1 to Y-40';
    is_deeply $demo->rows("SELECT name, tier, p.capacity, COUNT(*), SUM(b.capacity) FROM map_pool p
                           JOIN pool_bucket b USING (pool_no) GROUP BY name, tier, p.capacity"),
        [['floor', 'standing', 200, 8, 200]], 'and a standing pool';

    $demo->add_hall(id => 2, room => 'large', sections => [{name => 'S', rows => 2, seats_per_row => 6000}],
                    seat_name => sub { "$_[0]$_[1].$_[2]" });
    is_deeply [@{$demo->seat(2, 'S2.6000')}{qw(state seat_no)}], ['free', 11_999],
        'a hall of thousands next to it, named by a callback';
};

done_testing;
