# The life of a hold after it was made: its owner reads, lists, extends and
# releases it, and when its time is over it is swept.  Whatever meets whatever
# at the same moment, one of them is first and the others find out.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use IPC::Open2 qw(open2);
use Ticket::CommitProxy;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;
use Time::HiRes ();

my $db = Ticket::MariaDB->new(dir => temp_dir());
my %standing = (pools => [{name => 'floor', capacity => 40, buckets => 2}, {name => 'balcony', capacity => 10}]);
$db->add_hall(id => 1, room => 'hall', sections => [{name => 'A', rows => 10, seats_per_row => 40, tier => 'gold'}],
              seat_name => sub { my ($section, $row, $pos) = @_; "$section-" . (($row - 1) * 40 + $pos) },
              max_per_user => 40, %standing);
$db->add_hall(id => 2, room => 'hall', sections => [{name => 'B', rows => 1, seats_per_row => 10}], %standing);
$db->add_hall(id => 3, room => 'other', sections => [{name => 'C', rows => 1, seats_per_row => 10}]);
# Here holds last no longer than a second, as every worker knows.
$db->add_hall(id => 4, room => 'hall', sections => [{name => 'D', rows => 1, seats_per_row => 200}],
              seat_name => sub { "D-$_[2]" }, ttl_ms => 1000, max_ms => 10_000, max_per_user => 40, %standing);
my $proxy = Ticket::CommitProxy->new(dir => temp_dir(), db => $db);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, config => {db_socket => $proxy->socket});

my ($seat, $short, $files) = (1, 2, 0);

# So many seats that no test has had; of performance 4, but for its first.
sub seats       { return map { 'A-' . $seat++ } 1 .. $_[0] }
sub short_seats { return map { 'D-' . $short++ } 1 .. $_[0] }

# A POST of the visitor, with a key of its own or the one given.
sub post {
    my ($number, $path, $body, $with) = @_;
    return $worker->request($number, POST => $path, $body, $with);
}

sub send_post { return http($worker->target, post(@_)) }

# A hold of the visitor, as it was told.
sub hold {
    my ($number, $wish, $performance) = @_;
    my $answer = send_post($number, '/v1/performances/' . ($performance // 1) . '/holds', $wish);
    is $answer->{status}, 201, 'held' or diag $answer->{body};
    return $answer->{json};
}

sub take { my ($number, @seats) = @_; return hold($number, {seats => \@seats}) }

sub get     { return $worker->ask($_[0], GET => "/v1/holds/$_[1]{hold}") }
sub list    { return $worker->ask($_[0], GET => '/v1/performances/' . ($_[1] // 1) . '/holds') }
sub extend  { return send_post($_[0], "/v1/holds/$_[1]{hold}/extend", undef, $_[2]) }
sub release { return $worker->ask($_[0], DELETE => "/v1/holds/$_[1]{hold}") }

# The row of a hold, and what SQL calls its id.
sub id { return "x'$_[0]{hold}'" }
sub row {
    my ($hold, $columns) = @_;
    return $db->rows("SELECT $columns FROM hold WHERE id = " . id($hold))->[0];
}

# Lets holds run out in so many milliseconds (before now: negative), as if they
# had been made earlier.  The worker's memory does not know.
sub ends_in {
    my ($ms, @holds) = @_;
    my $ids = join ', ', map { id($_) } @holds;
    my $performances = join ', ', map { $_->{performance} } @holds;
    $db->do("SET \@end = UTC_TIMESTAMP(3) + INTERVAL @{[$ms * 1000]} MICROSECOND;
             START TRANSACTION;
             UPDATE seat SET expires_at = \@end WHERE performance_id IN ($performances) AND hold_id IN ($ids);
             UPDATE hold SET expires_at = \@end WHERE id IN ($ids);
             COMMIT");
    return;
}

sub held { return $db->value("SELECT SUM(held) FROM pool_bucket WHERE performance_id = " . ($_[0] // 1)) }

# What counts for the visitors of performance 1.
sub counted { return $db->value('SELECT COALESCE(SUM(held), 0) FROM user_limit') }

# A session of root's that can keep a transaction open.
sub session {
    my $pid = open2(my $out, my $in, $db->_client, '--unbuffered', $db->schema);
    my $run = sub {
        my ($sql) = @_;
        print {$in} "$sql;\nSELECT 'done';\n" or die "mariadb: $!\n";
        $in->flush;
        while (defined(my $line = <$out>)) { return if $line eq "done\n" }
        die "mariadb has ended\n";
    };
    $run->('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    my $end = sub { close $in; close $out; waitpid $pid, 0; return };
    return ($run, $end);
}

# Sends the requests from another process, and returns how to fetch the
# answers.
sub meanwhile {
    my (@requests) = @_;
    my $file = temp_dir() . '/answers.' . $files++;
    defined(my $pid = fork) or die "fork: $!\n";
    if (!$pid) {
        my $answers = http_many($worker->target, \@requests, concurrency => scalar @requests);
        open my $fh, '>', $file or POSIX::_exit(1);
        print {$fh} join "\n", map { "$_->{status} " . ($_->{json}{code} // '') } @$answers;
        close $fh;
        POSIX::_exit(0);
    }
    return sub { waitpid $pid, 0; return split /\n/, slurp($file) };
}

# Waits until a transaction of the worker waits for a lock.  The server renews
# the list only when nobody has looked at it for a tenth of a second.
sub until_blocked {
    eventually {
        Time::HiRes::sleep(0.15);
        $db->value("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'");
    } 5, 'somebody waits for the lock';
    return;
}

# Does something while no hold of performance 4 is swept: a hold on its first
# seat has run out and cannot be ended, and in the order of locks it is first.
sub unswept {
    my ($code) = @_;
    my $first = hold(99, {seats => ['D-1']}, 4);
    my ($run, $end) = session();
    $run->('START TRANSACTION; SELECT seat_no FROM seat WHERE performance_id = 4 AND seat_no = 0 FOR UPDATE');
    my $got = $code->();
    is_deeply row($first, 'state'), ['active'], 'the sweeper was held up';
    $run->('COMMIT');
    $end->();
    return $got;
}

sub until_over {
    my (@holds) = @_;
    eventually { !grep { !row($_, 'expires_at <= UTC_TIMESTAMP(3)')->[0] } @holds } 5, 'its time is over';
    return;
}

sub until_swept {
    eventually { $db->value("SELECT COUNT(*) = 0 FROM hold WHERE state = 'active' AND expires_at <= UTC_TIMESTAMP(3)") }
        10, 'all that has run out is swept';
    return;
}

subtest 'reading' => sub {
    my @seats = seats(2);
    my $made = hold(1, {seats => \@seats, pools => [{pool => 'floor', quantity => 2}]});
    my $answer = get(1, $made);
    is $answer->{status}, 200, 'read';
    my $left = delete $answer->{json}{expires_in_ms};
    cmp_ok $left, '<=', delete $made->{expires_in_ms}, 'the time left is what is left';
    cmp_ok $left, '>', 240_000, 'nearly all of it';
    ok !delete $answer->{json}{extended}, 'not extended';
    is_deeply $answer->{json}, $made, 'else it is told as when it was made';
    is_deeply $made->{pools}, [{pool => 'floor', quantity => 2, tier => 'standing'}], 'with its pools';
    is_deeply [map { $_->{tier} } @{$made->{seats}}], ['gold', 'gold'], 'and tiers';

    is get(2, $made)->{status}, 404, 'another owner has no such hold';
    is get(2, $made)->{json}{code}, 'no_such_hold', 'and is told so';
    is release(2, $made)->{status}, 404, 'cannot release it';
    is extend(2, $made)->{status}, 404, 'or extend it';
    is get(1, {hold => 'f' x 32})->{status}, 404, 'nobody has one that was never made';
    is release(1, $made)->{status}, 204, 'released';
    is get(1, $made)->{status}, 404, 'it is no more';
};

subtest 'listing' => sub {
    my @holds = map { take(3, seats(1)) } 1 .. 3;
    my $other = take(4, seats(1));
    hold(3, {pools => [{pool => 'floor', quantity => 1}]}, 2);
    my $answer = list(3);
    is $answer->{status}, 200, 'listed';
    is_deeply [map { $_->{hold} } @{$answer->{json}{holds}}], [map { $_->{hold} } @holds], 'all of the performance, oldest first';
    is_deeply $answer->{json}{holds}[1]{seats}, $holds[1]{seats}, 'as they are read';
    is $answer->{json}{holds}[0]{extended}, JSON::PP::false(), 'with what changes';
    is_deeply [map { $_->{hold} } @{list(4)->{json}{holds}}], [$other->{hold}], 'each owner has a list';
    is_deeply list(5)->{json}, {holds => []}, 'if an empty one';
    release(3, $holds[0]);
    ends_in(-1000, $holds[1]);
    is_deeply [map { $_->{hold} } @{list(3)->{json}{holds}}], [$holds[2]{hold}], 'only living ones';
    is list(3, 99)->{json}{code}, 'no_such_performance', 'of performances that there are';
    is list(3, 3)->{status}, 404, 'and are sold in this room';
};

subtest 'extending' => sub {
    my $made = take(6, seats(2));
    ends_in(9000, $made);
    my $answer = extend(6, $made);
    is $answer->{status}, 200, 'extended' or diag $answer->{body};
    cmp_ok $answer->{json}{expires_in_ms}, '>', 240_000, 'by a whole time to live from now';
    cmp_ok $answer->{json}{expires_in_ms}, '<=', 300_000, 'and no more';
    ok $answer->{json}{extended}, 'told as extended';
    is_deeply [map { $_->{version} } @{$answer->{json}{seats}}], [map { $_->{version} + 1 } @{$made->{seats}}], 'with the new versions';
    is_deeply $db->rows('SELECT DISTINCT version, hold_id = ' . id($made) . " FROM seat WHERE hold_id = " . id($made)),
        [[2, 1]], 'that the seats have';
    my $read = get(6, $made)->{json};
    is_deeply [@$read{qw(expires_at extended seats)}], [@{$answer->{json}}{qw(expires_at extended seats)}], 'as it is read';
    is $db->broken, '', 'the invariants hold';

    my $again = extend(6, $made);
    is $again->{status}, 409, 'once';
    is $again->{json}{code}, 'already_extended', 'and no second time';
    is get(6, $made)->{json}{expires_at}, $read->{expires_at}, 'which changes nothing';

    $made = hold(6, {pools => [{pool => 'floor', quantity => 1}]});
    ends_in(9000, $made);
    is extend(6, $made)->{status}, 200, 'standing places, too';
    is extend(6, $made, '')->{json}{code}, 'idempotency_key_missing', 'with a key';
};

subtest 'no longer than there may be' => sub {
    my $made = take(7, seats(1));
    ends_in(9000, $made);
    $db->do('UPDATE performance SET hold_max_ms = 300000 WHERE id = 1;
             UPDATE hold SET created_at = UTC_TIMESTAMP(3) - INTERVAL 240 SECOND WHERE id = ' . id($made));
    my $answer = extend(7, $made);
    is $answer->{status}, 200, 'extended';
    cmp_ok $answer->{json}{expires_in_ms}, '<=', 60_000, 'to the longest life';
    is_deeply row($made, 'TIMESTAMPDIFF(MICROSECOND, created_at, expires_at)'), [300_000_000], 'to the millisecond';

    $made = take(7, seats(1));
    $answer = extend(7, $made);
    is $answer->{status}, 409, 'who has that already';
    is $answer->{json}{code}, 'hold_at_maximum', 'is told so';
    is_deeply row($made, 'extended'), [0], 'and has lost nothing';
    $db->do('UPDATE performance SET hold_max_ms = 86400000 WHERE id = 1');
    is extend(7, $made)->{status}, 200, 'it can still be extended when there is more';
};

subtest 'too late' => sub {
    my $lapsed = take(8, seats(1));
    ends_in(-1000, $lapsed);
    is extend(8, $lapsed)->{json}{code}, 'hold_expired', 'what has run out is not extended';
    is get(8, $lapsed)->{status}, 410, 'and read as gone';

    my $released = take(8, seats(1));
    release(8, $released);
    is extend(8, $released)->{status}, 404, 'neither is what was released';

    my @seats = seats(2);
    my $robbed = take(8, @seats);
    $db->set_seat(1, $seats[1], 'free');
    is extend(8, $robbed)->{json}{code}, 'hold_expired', 'nor what has lost a seat';
    is_deeply row($robbed, 'extended'), [0], 'nothing of it is';
    is $db->seat(1, $seats[0])->{version}, 1, 'not the other seat either';
    is release(8, $robbed)->{status}, 204, 'what it has left can be given back';
    is $db->seat(1, $seats[0])->{state}, 'free', 'and is';
};

subtest 'releasing' => sub {
    my @seats = seats(3);
    until_swept();
    my ($held, $counted) = (held(), counted());
    my $made = hold(9, {seats => \@seats, pools => [{pool => 'floor', quantity => 3}, {pool => 'balcony', quantity => 1}]});
    is held(), $held + 4, 'standing places are held';
    is counted(), $counted + 7, 'all count for the limit';
    is release(9, $made)->{status}, 204, 'released';
    is_deeply [map { $db->seat(1, $_)->{state} } @seats], [('free') x 3], 'the seats are free';
    is held(), $held, 'the standing places come back';
    is counted(), $counted, 'and the limit';
    is release(9, $made)->{status}, 204, 'once more';
    is held(), $held, 'which gives nothing back twice';
    is $db->broken, '', 'the invariants hold';
};

subtest 'releasing what has run out' => sub {
    my @seats = short_seats(3);
    unswept(sub {
        my ($held, $counted) = (held(4), counted());
        my $made = hold(10, {seats => \@seats, pools => [{pool => 'floor', quantity => 2}]}, 4);
        until_over($made);
        my $new = hold(11, {seats => [$seats[1]]}, 4);
        is release(10, $made)->{status}, 204, 'released late';
        is_deeply row($made, 'state'), ['released'], 'by its owner';
        is_deeply $db->rows("SELECT state, hold_id = @{[id($new)]} FROM seat WHERE performance_id = 4 AND seat_no IN (1, 2, 3) ORDER BY seat_no"),
            [['free', undef], ['held', 1], ['free', undef]], 'what was taken over stays with who has it, the rest is free';
        is held(4), $held, 'the standing places come back';
        is counted(), $counted + 1, 'and the limit';
        is $db->broken, '', 'the invariants hold';
    });
};

subtest 'sweeping' => sub {
    my @seats = short_seats(3);
    eventually { $db->value("SELECT COUNT(*) = 0 FROM hold WHERE state = 'active' AND performance_id = 4") } 10, 'nothing is left from before';
    until_swept();
    my ($held, $held_4, $counted) = (held(), held(4), counted());
    my ($new, $void, @lapsed);
    my $stays = hold(12, {seats => [seats(1)], pools => [{pool => 'floor', quantity => 1}]});
    unswept(sub {
        push @lapsed, hold(12, {seats => [seats(1)], pools => [{pool => 'floor', quantity => 3}]});
        ends_in(500, @lapsed);
        push @lapsed, hold(12, {seats => [@seats[0, 1]], pools => [{pool => 'floor', quantity => 4}]}, 4),
            hold(13, {pools => [{pool => 'floor', quantity => 2}, {pool => 'balcony', quantity => 3}]}, 4),
            hold(12, {pools => [{pool => 'balcony', quantity => 1}]}, 4),
            $void = hold(13, {seats => [$seats[2]]}, 4);
        $db->do("UPDATE hold SET items = '{\"seats\": [[0,1]]}' WHERE id = " . id($void));
        until_over(@lapsed);
        $new = hold(14, {seats => [$seats[1]]}, 4);
        is extend(14, $new)->{status}, 200, 'to outlast the test';
        $db->do("UPDATE hold SET expires_at = UTC_TIMESTAMP(3) + INTERVAL 300 SECOND WHERE id = @{[id($new)]};
                 UPDATE seat SET expires_at = (SELECT expires_at FROM hold WHERE id = hold_id), version = version + 1
                 WHERE performance_id = 4 AND seat_no > 0 AND hold_id = " . id($new));
    });
    until_swept();
    is_deeply [map { row($_, 'state')->[0] } @lapsed], [('expired') x 5], 'as expired, in each performance';
    is_deeply $db->rows("SELECT DISTINCT state FROM seat s JOIN performance p ON p.id = s.performance_id JOIN map_seat m ON m.map_id = p.map_id AND m.seat_no = s.seat_no
                         WHERE m.name IN ('$seats[0]', '$lapsed[0]{seats}[0]{seat}')"), [['free']], 'the seats are free';
    is_deeply $db->rows("SELECT hold_id = @{[id($new)]}, state FROM seat WHERE performance_id = 4 AND seat_no = @{[$db->seat(4, $seats[1])->{seat_no}]}"),
        [[1, 'held']], 'but not what was taken over';
    is_deeply row($stays, 'state'), ['active'], 'what lasts is left alone';
    is held(), $held + 1, 'standing places come back';
    is held(4), $held_4, 'of each performance';
    like slurp($worker->{log}), qr/hold \U$void->{hold}\E: its items cannot be read/, 'a hold that cannot be read is in the log, and in nobody\'s way';
    $db->do("UPDATE user_limit SET held = held - 1 WHERE performance_id = 4 AND visitor = (SELECT visitor FROM hold WHERE id = @{[id($void)]})");
    $db->set_seat(4, $seats[2], 'free');
    is counted(), $counted + 3, 'and the limits';
    is $db->broken, '', 'the invariants hold';
    is get(12, $lapsed[1])->{status}, 410, 'its owner learns that it has run out';
    is release(12, $lapsed[1])->{status}, 204, 'and may still release it';
};

# Locks the hold's seats against the worker, has the request run into that, and
# does something before it goes on.
sub interrupted {
    my ($hold, $request, $sql) = @_;
    my ($run, $end) = session();
    $run->('START TRANSACTION; SELECT seat_no FROM seat WHERE hold_id = ' . id($hold) . ' FOR UPDATE');
    my $answers = meanwhile($request);
    until_blocked();
    $run->($sql) if ref $sql ne 'CODE';
    $sql->()     if ref $sql eq 'CODE';
    $run->('COMMIT');
    $end->();
    return ($answers->())[0];
}

sub extension { my ($number, $hold) = @_; return post($number, "/v1/holds/$hold->{hold}/extend") }

subtest 'an extension that comes second' => sub {
    my $made = take(15, seats(2));
    ends_in(400, $made);
    is interrupted($made, extension(15, $made), sub {
        eventually { row($made, 'expires_at <= UTC_TIMESTAMP(3)')->[0] } 5, 'its time is over meanwhile';
    }), '410 hold_expired', 'to the end of the hold';
    is_deeply row($made, 'extended'), [0], 'has not extended it';

    my @seats = seats(2);
    $made = take(15, @seats);
    is interrupted($made, extension(15, $made),
        "UPDATE seat SET hold_id = x'@{['ab' x 16]}', version = version + 1 WHERE performance_id = 1 AND seat_no = " . $db->seat(1, $seats[0])->{seat_no}),
        '410 hold_expired', 'to a takeover';
    is_deeply row($made, 'extended'), [0], 'has not extended the hold';
    is $db->seat(1, $seats[1])->{version}, 1, 'or the seat it still has';
    $db->set_seat(1, $seats[0], 'free');
    release(15, $made);

    @seats = seats(2);
    $made = take(15, @seats);
    is interrupted($made, extension(15, $made), 'UPDATE hold SET extended = 1 WHERE id = ' . id($made)),
        '409 already_extended', 'to another';
    is $db->seat(1, $seats[1])->{version}, $made->{seats}[1]{version}, 'has not touched the seats';
    $db->do('UPDATE hold SET extended = 0 WHERE id = ' . id($made));

    is interrupted($made, extension(15, $made), "UPDATE hold SET state = 'released' WHERE id = " . id($made)),
        '404 no_such_hold', 'to a release';
    is $db->seat(1, $seats[1])->{version}, $made->{seats}[1]{version}, 'has not touched the seats';
    $db->do("UPDATE hold SET state = 'active' WHERE id = " . id($made));
    is release(15, $made)->{status}, 204, 'released';
};

subtest 'a release that comes second' => sub {
    my @seats = seats(2);
    my $made = hold(16, {seats => \@seats, pools => [{pool => 'balcony', quantity => 1}]});
    my $held = held();
    is interrupted($made, $worker->request(16, DELETE => "/v1/holds/$made->{hold}"),
        "UPDATE hold SET state = 'released' WHERE id = " . id($made)), '204 ', 'to another is heard';
    is held(), $held, 'and gives nothing back';
    is $db->seat(1, $seats[0])->{state}, 'held', 'not a seat';
    $db->do("UPDATE hold SET state = 'active' WHERE id = " . id($made));
    is release(16, $made)->{status}, 204, 'the first one does';
    is held(), $held - 1, 'once';
};

subtest 'a sweep that comes second' => sub {
    my $made = hold(17, {seats => [seats(2)], pools => [{pool => 'balcony', quantity => 1}]});
    my $held = held();
    my ($run, $end) = session();
    $run->('START TRANSACTION; SELECT seat_no FROM seat WHERE hold_id = ' . id($made) . ' FOR UPDATE');
    $db->do('UPDATE hold SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ' . id($made));
    until_blocked();
    $run->("UPDATE hold SET expires_at = UTC_TIMESTAMP(3) + INTERVAL 300 SECOND WHERE id = " . id($made));
    $run->('UPDATE seat SET expires_at = (SELECT expires_at FROM hold WHERE id = hold_id), version = version + 1 WHERE hold_id = ' . id($made));
    $run->('COMMIT');
    $end->();
    my $lapsed = take(18, seats(1));
    ends_in(-1000, $lapsed);
    eventually { row($lapsed, 'state')->[0] eq 'expired' } 10, 'the sweeper goes on';
    is_deeply row($made, 'state'), ['active'], 'and has not ended what was extended before it';
    is held(), $held, 'its places are still held';
    is $db->value("SELECT COUNT(*) FROM seat WHERE state = 'held' AND hold_id = " . id($made)), 2, 'and its seats';
    is release(17, $made)->{status}, 204, 'it is its owner\'s to release';
    is $db->broken, '', 'the invariants hold';
};

# Holds that cannot be ended, more of them than are looked at together, older
# than all others, in a performance that comes before the others.
subtest 'a sweep that meets bad holds' => sub {
    my @bad = map { hold(200 + $_, {pools => [{pool => 'balcony', quantity => 1}]}, 2) } 1 .. 8;
    my $balcony = 'performance_id = 2 AND pool_no = 1';
    my $buckets = $db->rows("SELECT bucket, held FROM pool_bucket WHERE $balcony");
    my $beside = hold(210, {seats => ['B-1-1'], pools => [{pool => 'floor', quantity => 1}]}, 2);
    my $after = take(211, seats(1));
    $db->do("INSERT INTO hold SELECT UNHEX(CONCAT('00000002', LPAD(seq, 8, '0'), '00000000ffffffff')), performance_id, owner, visitor, state,
                                     extended, units, ttl_ms, created_at, UTC_TIMESTAMP(3) - INTERVAL 100 SECOND, fingerprint, items FROM hold, seq_1_to_100
             WHERE id = @{[id($bad[0])]};
             UPDATE pool_bucket SET held = 0, version = version + 1 WHERE $balcony");
    ends_in(-90_000, @bad);
    ends_in(-1000, $beside, $after);
    eventually { row($_, 'state')->[0] eq 'expired' } 10, 'others are ended' for $beside, $after;
    is $db->value("SELECT COUNT(*) FROM hold WHERE performance_id = 2 AND state = 'active' AND expires_at < UTC_TIMESTAMP(3)"), 108, 'the bad ones stay';
    is $db->seat(2, 'B-1-1')->{state}, 'free', 'seats of the same performance are free';
    my @lines;
    my $named = sub { @lines = slurp($worker->{log}) =~ /hold ([0-9a-f]{32}) of performance 2 has run out and cannot be ended/g };
    eventually { $named->() > 0 } 10, 'one is named in the log';
    is @lines, 1, 'once';
    my $repair = join '', map { "UPDATE pool_bucket SET held = $_->[1], version = version + 1 WHERE $balcony AND bucket = $_->[0];\n" } @$buckets;
    $db->do("DELETE FROM hold WHERE performance_id = 2 AND HEX(id) LIKE '%FFFFFFFF';
             START TRANSACTION;
             $repair
             COMMIT");
    until_swept();
    is $db->value("SELECT SUM(held) FROM pool_bucket WHERE $balcony"), 0, 'what is set right is swept';
    is $db->broken, '', 'the invariants hold';
};

subtest 'at the same moment: extending, releasing, taking over, sweeping' => sub {
    my %n;
    for my $round (1 .. 4) {
        my @seats = short_seats(24);
        my ($owner, $other) = (40 + $round, 60 + $round);
        my @holds = map { hold($owner, {seats => [$_]}, 4) } @seats;
        my @requests;
        for my $i (0 .. $#seats) {
            push @requests, extension($owner, $holds[$i]), post($other, '/v1/performances/4/holds', {seats => [$seats[$i]]});
            push @requests, $worker->request($owner, DELETE => "/v1/holds/$holds[$i]{hold}") if $i % 4 == 0;
        }
        within(sub {
            $db->value("SELECT MIN(expires_at) <= UTC_TIMESTAMP(3) + INTERVAL @{[60_000 * $round]} MICROSECOND FROM hold WHERE id = " . id($holds[0]));
        }, 5);
        my $answers = http_many($worker->target, \@requests, concurrency => 24);
        is_deeply [grep { !/^(200|201|204|404|409|410)$/ } map { $_->{status} } @$answers], [], 'only such answers as there are';
        $n{$_->{status}}++ for @$answers;
    }
    note join ', ', map { "$n{$_} of $_" } sort keys %n;
    until_swept();
    is $db->broken, '', 'the invariants hold';
};

subtest 'one key, one effect' => sub {
    my $made = take(30, seats(2));
    my @other = (take(30, seats(1)));
    ends_in(9000, $made, @other);
    my $request = post(30, "/v1/holds/$made->{hold}/extend", undef, 'once');
    my $answers = http_many($worker->target, [($request) x 20], concurrency => 20);
    is_deeply [map { $_->{status} } @$answers], [(200) x 20], 'twenty at once are answered';
    my %body = map { $_->{body} => 1 } @$answers;
    is keys %body, 1, 'byte for byte the same';
    is scalar(grep { ($_->{headers}{'idempotency-replayed'} // '') eq '?1' } @$answers), 19, 'nineteen are told that it is a replay';
    is_deeply $db->rows('SELECT DISTINCT version FROM seat WHERE hold_id = ' . id($made)), [[2]], 'one was carried out';

    release(30, $made);
    my $late = http($worker->target, $request);
    is $late->{status}, 200, 'much later it is still that answer';
    is $late->{body}, (keys %body)[0], 'to the byte';
    is $late->{headers}{'content-type'}, 'application/json', 'of its type';

    is send_post(30, "/v1/holds/$made->{hold}/extend", {a => 1}, 'once')->{json}{code}, 'idempotency_key_reused', 'another body is refused';
    my $elsewhere = extend(30, $other[0], 'once');
    is $elsewhere->{status}, 422, 'and so is another address';
    is_deeply row($other[0], 'extended'), [0], 'nothing is done';
    my $another = take(31, seats(1));
    is extend(31, $another, 'once')->{status}, 200, 'another owner has keys of his own';

    my $refused = extend(30, $made, 'refused');
    is $refused->{status}, 404, 'a refusal';
    my $repeated = extend(30, $made, 'refused');
    is $repeated->{body}, $refused->{body}, 'is kept, too';
    is $repeated->{headers}{'idempotency-replayed'}, '?1', 'and replayed';
    is $repeated->{headers}{'content-type'}, 'application/problem+json', 'as the problem it is';
    is $db->broken, '', 'the invariants hold';
};

subtest 'a key that is being used' => sub {
    my $made = take(32, seats(1));
    ends_in(60_000, $made);
    my $owner = row($made, 'owner')->[0];
    my ($run, $end) = session();
    $run->("START TRANSACTION; INSERT INTO idempotency (scope, idem_key, fingerprint, status, body, created_at)
            VALUES ('$owner', 'busy', x'@{['00' x 16]}', 200, 'x', UTC_TIMESTAMP(3))");
    my $answer = extend(32, $made, 'busy');
    is $answer->{status}, 409, 'is refused for now';
    is $answer->{json}{code}, 'in_progress', 'as in progress';
    is $answer->{headers}{'retry-after'}, 1, 'and when to ask again';
    is_deeply row($made, 'extended'), [0], 'nothing is done';
    $run->('ROLLBACK');
    $end->();
    is extend(32, $made, 'busy')->{status}, 200, 'when the other has failed it is done';
};

for my $what (qw(before after late)) {
    subtest "the answer to COMMIT is lost: $what" => sub {
        my $made = take(33, seats(2));
        ends_in(60_000, $made);
        $proxy->order($what, 1);
        my $answer = extend(33, $made, "lost-$what");
        is $proxy->left, 0, 'it was lost';
        is $answer->{status}, 200, 'extended' or diag $answer->{body};
        is_deeply $db->rows('SELECT DISTINCT version FROM seat WHERE hold_id = ' . id($made)), [[2]], 'once';
        is extend(33, $made, "lost-$what")->{body}, $answer->{body}, 'and told so for ever';

        my ($held, $more) = (held(), hold(33, {pools => [{pool => 'floor', quantity => 2}]}));
        $proxy->order($what, 1);
        is release(33, $more)->{status}, 204, 'a release';
        is $proxy->left, 0, 'is lost, too';
        is held(), $held, 'gives back once';
        is release(33, $made)->{status}, 204, 'all is given back';
        is $db->broken, '', 'the invariants hold';
    };
}

done_testing;
