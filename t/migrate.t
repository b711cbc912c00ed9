# Bringing a database to the present schema: what an old one held is still
# there, nothing is done twice, and scripts/migrate refuses what it cannot know
# the outcome of.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use File::Copy ();
use Ticket::MariaDB;

my $db = Ticket::MariaDB->new(dir => temp_dir(), empty => 1);

# A copy of the script with migrations of its own.
my $copy = temp_dir() . '/copy';
mkdir $_ or die "mkdir $_: $!\n" for $copy, "$copy/scripts", "$copy/sql";
copy("scripts/$_") for qw(migrate database.sh);
copy('sql/001_performances_and_seats.sql', 'sql/002_holds.sql');
chmod 0755, "$copy/scripts/migrate";

sub copy {
    for my $file (@_) {
        File::Copy::copy(root_dir() . "/$file", "$copy/$file") or die "$file: $!\n";
    }
    return;
}

# Status, stdout and stderr of the copy.
sub migrate {
    return run("$copy/scripts/migrate", $db->schema, '--socket=' . $db->socket, '--user=root');
}

sub write_file {
    my ($name, $text) = @_;
    open my $fh, '>', "$copy/sql/$name" or die "$name: $!\n";
    print {$fh} $text;
    close $fh or die "$name: $!\n";
    return;
}

my ($FUTURE, $PAST) = ('2099-12-01 19:00:00.123', '2020-12-01 19:00:00.000');
my %id = map { $_ => substr($_ x 32, 0, 30) . '00' } qw(a b c d e f);

# A hold in the old tables, with those seats of which the flag says whether it
# still has them.
sub old_hold {
    my ($id, $performance, $owner, $state, $expires, %seats) = @_;
    return "INSERT INTO hold VALUES ('$id', $performance, '$owner', '$state', '2020-11-01 12:00:00.500', '$expires');\n",
        map {
            my $live = $seats{$_};
            ("INSERT INTO hold_seat VALUES ('$id', $performance, '$_', " . ($live ? 1 : 'NULL') . ");\n",
             $live ? "UPDATE seat SET state = 'held', hold_id = '$id', expires_at = '$expires'
                      WHERE performance_id = $performance AND seat = '$_';\n" : ());
        } sort keys %seats;
}

# Breaks the migration off before each of its statements up to the RENAME, and
# undoes it as its head says.
sub breaks_off {
    my ($version) = @_;
    my ($head, $rest) = slurp(root_dir() . "/sql/$version.sql") =~ /\A((?:--[^\n]*\n)+)(.*)\z/s;
    my ($undo) = $head =~ /:\n--\n(.*;)\n--\n/s;
    $undo =~ s/^--//mg;
    my @before = split /(?<=;)\n/, ($rest =~ /\A(.*)^RENAME/ms)[0];
    my $state = sub {
        my $tables = join ', ', map { $_->[0] } @{$db->rows('SHOW FULL TABLES WHERE Table_type = "BASE TABLE"')};
        return join "\n", map { map { $_->[1] =~ s/ AUTO_INCREMENT=\d+//r } @{$db->rows("SHOW CREATE TABLE $_")} } grep { $_ ne 'schema_migration' } split /, /, $tables;
    };
    my $was = $state->();
    for my $n (1 .. @before) {
        write_file("$version.sql", join('', map { "$_\n" } @before[0 .. $n - 1]) . "BROKEN;\n");
        my ($status) = migrate();
        $db->do("$undo DELETE FROM schema_migration WHERE version = '$version'");
        is "$status " . $state->(), "1 $was", "broken off after statement $n, and undone";
    }
    return;
}

is_deeply [migrate()], [0, "migrate: 001_performances_and_seats applied\nmigrate: 002_holds applied\n", ''],
    'a database of before';
$db->load("INSERT INTO performance VALUES
               (1, 'Gr\xc3\xb6\xc3\x9fe \xf0\x9f\x98\x80', 'hall', 300000), (2, '', 'hall:20261201', 86400000),
               (3, '  ', 'hall', 60000000), (4, 'No seats', 'hall', 1000);
           SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
           INSERT INTO performance VALUES (0, 'Zero', 'hall', 5000);
           INSERT INTO seat (performance_id, seat, row_no, pos, state, version) VALUES
               (0, 'A-1', 1, 1, 'free', 0), (3, 'Z', 0, 0, 'blocked', 4294967295);\n",
          # Rows against the order of their names, with a gap in each.
          (map {
              my $p = $_;
              map {
                  my ($row, $pos) = (int($_ / 10), $_ % 10 * 2);
                  "INSERT INTO seat (performance_id, seat, row_no, pos, version)
                   VALUES ($p, '" . chr(ord('M') - $row) . "-$pos', $row, $pos, $_);\n";
              } 0 .. 39;
          } 1, 2),
          "UPDATE seat SET state = 'sold' WHERE performance_id = 1 AND seat IN ('M-0', 'J-18');
           UPDATE seat SET state = 'blocked' WHERE performance_id = 1 AND seat = 'M-2';\n",
          old_hold($id{a}, 1, 'hall/1-7', 'active', $FUTURE, 'M-4' => 1, 'L-6' => 1),
          old_hold($id{b}, 1, 'hall/1-8', 'active', $PAST, 'M-8' => 1, 'M-6' => 1),
          old_hold($id{c}, 1, 'hall/1-9', 'released', $FUTURE, 'M-4' => 0),
          old_hold($id{d}, 1, 'hall/3-4294967301', 'taken_over', $PAST, 'L-6' => 0, 'L-8' => 1),
          old_hold($id{e}, 2, 'hall:20261201/1-7', 'active', $FUTURE, map { ("M-" . $_ * 2 => 1) } 0 .. 9),
          old_hold($id{f}, 0, 'hall/1-10', 'active', $FUTURE, 'A-1' => 1));

my $seats = $db->rows("SELECT performance_id, seat, IF(state = 'held' AND expires_at < '2021-01-01', 'free', state),
                              version, expires_at, LEFT(hold_id, 16)
                       FROM seat ORDER BY performance_id, seat");
my $holds = $db->rows("SELECT h.performance_id, owner, IF(state = 'taken_over', 'active', state), created_at, expires_at,
                              LEFT(h.id, 16), GROUP_CONCAT(l.seat ORDER BY l.seat)
                       FROM hold h JOIN hold_seat l ON l.hold_id = h.id
                       GROUP BY h.id, owner, state, created_at, expires_at, h.performance_id ORDER BY h.id");
is @$holds, 6, 'with holds';

subtest 'what it held is still there' => sub {
    copy('sql/003_venues_and_maps.sql');
    is_deeply [migrate()], [0, "migrate: 003_venues_and_maps applied\n", ''], 'migrated';
    breaks_off('004_inventory');
    copy('sql/004_inventory.sql');
    is_deeply [migrate()], [0, "migrate: 004_inventory applied\n", ''], '... to the end';
    is_deeply $db->rows("SELECT performance_id, seat, state, version, expires_at, UPPER(RIGHT(hold_id, 16))
                         FROM seat_now ORDER BY performance_id, seat"),
        [map { [@$_[0 .. 4], $_->[5] && uc $_->[5]] } @$seats], 'every seat as it was';
    is_deeply $db->rows("SELECT h.performance_id, h.owner, h.state, h.created_at, h.expires_at,
                                LOWER(RIGHT(HEX(h.id), 16)), GROUP_CONCAT(m.name ORDER BY m.name)
                         FROM hold h
                         JOIN JSON_TABLE(h.items, '\$.seats[*]' COLUMNS (no INT PATH '\$[0]')) i
                         JOIN performance p ON p.id = h.performance_id
                         JOIN map_seat m ON m.map_id = p.map_id AND m.seat_no = i.no
                         GROUP BY h.id ORDER BY RIGHT(HEX(h.id), 16)"), $holds, 'every hold, with its seats';
    is_deeply $db->rows('SELECT units, ttl_ms, extended, HEX(fingerprint), visitor FROM hold
                         WHERE performance_id = 2'), [[10, 86400000, 0, '0' x 32, undef]], '... whole';
    is_deeply $db->rows("SELECT LEFT(HEX(id), 16), JSON_EXTRACT(items, '\$.seats[0]') FROM hold
                         WHERE owner = 'hall/3-4294967301'"), [['0000000100000005', '[13, 13]']],
        '... under an id of the new form';
    is_deeply $db->rows("SELECT s.seat_no, HEX(b.order_id) FROM sale b JOIN seat s USING (performance_id, seat_no)
                         WHERE s.performance_id = 1 AND s.state = 'sold' AND s.order_id = b.order_id ORDER BY 1"),
        [[0, '0' x 32], [39, '0' x 32]], 'what was sold has its second proof';
    is_deeply $db->rows("SELECT id, map_id, name, room, hold_ttl_ms, hold_max_ms, max_per_user, sale_opens_at
                         FROM performance WHERE id <> 1 ORDER BY id"),
        [[0, 0, 'Zero', 'hall', 5000, 10000, undef, undef],
         [2, 2, '', 'hall:20261201', 86400000, 86400000, undef, undef],
         [3, 3, '  ', 'hall', 60000000, 86400000, undef, undef],
         [4, 4, 'No seats', 'hall', 1000, 2000, undef, undef]], 'the performances';
    is_deeply $db->rows("SELECT v.name, HEX(m.name) FROM venue v JOIN seat_map m ON m.venue_id = v.id AND m.id = v.id
                         ORDER BY v.id"),
        [map { [$_->[0], uc unpack 'H*', $_->[1] // $_->[0]] } ['Zero'],
         [$db->value('SELECT name FROM venue WHERE id = 1'), "Gr\xc3\xb6\xc3\x9fe \xf0\x9f\x98\x80"],
         ['Performance 2'], ['Performance 3'], ['No seats']], 'their venues and maps have names';
    is_deeply $db->rows("SELECT GROUP_CONCAT(name ORDER BY seat_no), MIN(x), MAX(x), MIN(y), MAX(y) FROM map_seat
                         WHERE map_id = 1 AND row_no = 1"),
        [['L-0,L-2,L-4,L-6,L-8,L-10,L-12,L-14,L-16,L-18', 0, 1800, 100, 100]], 'seats lie as they did';
    is_deeply $db->rows('SELECT section_no, name, focal_x, focal_y FROM map_section WHERE map_id = 1'),
        [[0, 'Hall', 900, 0]], 'before the middle of the front';
    is $db->broken, '', 'the invariants hold';
    $db->do("INSERT INTO performance (map_id, name, room, hold_ttl_ms) VALUES (4, 'Next', 'hall', 1000)");
    is $db->value("SELECT id FROM performance WHERE name = 'Next'"), 5, 'the next performance numbers itself';
    is_deeply $db->rows("SHOW TABLES LIKE '%\\_00_'"), [], 'nothing is left over';
};

subtest 'once is enough' => sub {
    my $before = $db->rows('SELECT * FROM schema_migration ORDER BY version');
    is_deeply [migrate()], [0, '', ''], 'a second run does nothing';
    is_deeply $db->rows('SELECT * FROM schema_migration ORDER BY version'), $before, 'and changes nothing';
};

subtest 'what is refused' => sub {
    write_file('004_inventory.sql', slurp("$copy/sql/004_inventory.sql") . "-- Changed.\n");
    is_deeply [migrate()], [1, '', 'migrate: 004_inventory.sql has changed since it was applied; put the file '
        . "back as it was, and make a new migration of the change\n"], 'a file that has changed';
    copy('sql/004_inventory.sql');
    is +(migrate())[0], 0, '... until it is put back';

    write_file('005_broken.sql', "CREATE TABLE half (id INT);\nCREATE TABLE half (id INT);\n");
    my $repair = 'undo what it did of its work, delete its row from schema_migration, and try again';
    my ($status, $out, $err) = migrate();
    is $status, 1, 'one that does not go through';
    like $err, qr/\Qmigrate: 005_broken.sql did not go through; $repair\E$/, '... saying so';
    is_deeply [migrate()], [1, '', "migrate: 005_broken.sql was begun and not finished; $repair\n"],
        'one that was begun and not finished';
    $db->do("DROP TABLE half; DELETE FROM schema_migration WHERE version = '005_broken'");
    write_file('005_broken.sql', "CREATE TABLE half (id INT);\n");
    is_deeply [migrate()], [0, "migrate: 005_broken applied\n", ''], '... until that is done';

    # The row of another run appears after this one has read the table.
    write_file('006_other.sql', "CREATE TABLE other (id INT);\n");
    $db->do("CREATE TRIGGER other_run BEFORE INSERT ON schema_migration FOR EACH ROW
             SIGNAL SQLSTATE '23000' SET MESSAGE_TEXT = 'Duplicate entry'");
    like +(migrate())[2], qr/006_other\.sql was begun by another run meanwhile; wait for it/, 'the second of two at once';
    is_deeply $db->rows("SHOW TABLES LIKE 'other'"), [], '... does nothing';
};

done_testing;
