# What the database decides, when the workers' memory does not know: two
# workers without streams, each sure of what it has seen last, sell the same
# places.  Whatever one believes, the guards of the other's rows hold.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use POSIX ();
use Storable ();
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_hall(id => 1, room => 'hall',
    sections => [map { {name => $_, rows => 10, seats_per_row => 20} } 'A' .. 'C'],
    seat_name => sub { my ($section, $row, $pos) = @_; "$section-" . (($row - 1) * 20 + $pos) },
    pools => [{name => 'floor', capacity => 60, buckets => 4}, {name => 'one', capacity => 20},
              {name => 'lawn', capacity => 400, buckets => 100},
              {name => 'lot', capacity => 200, buckets => 4}, {name => 'box', capacity => 8, buckets => 8}]);
$db->add_hall(id => 2, room => 'hall', max_per_user => 4, sections => [{name => 'L', rows => 4, seats_per_row => 20}]);
$db->add_hall(id => 3, room => 'hall', sections => [{name => 'S', rows => 10, seats_per_row => 20}]);

# Nothing but the guards tells them of each other: there is no refresh either.
my @worker = map { Ticket::Worker->new(dir => temp_dir(), db => $db, name => "worker$_", config => {refresh_s => 3600}) } 1, 2;

# A POST of a hold, with a new key or the one given.
sub post {
    my ($number, $body, %more) = @_;
    my $performance = $more{performance} // 1;
    return $worker[0]->request($number, POST => "/v1/performances/$performance/holds", $body, $more{key});
}

# Both have the halls in memory; both have the same keys.
$_->{secret} = $worker[0]{secret}, $_->write_keys($_->{conf} =~ s/conf$/keys/r), kill(HUP => $_->pid) for $worker[1];
for my $who (@worker) {
    eventually { $who->ask(1, GET => "/v1/performances/$_/seats")->{status} == 200 } 5, 'knows the hall' for 1 .. 3;
}

# Sends requests, and those again, as a client does, that were told to come
# again because two workers that know nothing of each other fought too long.
sub insist {
    my ($who, $requests) = @_;
    my $answers = http_many($who->target, $requests, concurrency => 40);
    for (1 .. 20) {
        my @again = grep { $answers->[$_]{status} == 503 } 0 .. $#$answers or last;
        @{$answers}[@again] = @{http_many($who->target, [@{$requests}[@again]], concurrency => 40)};
    }
    return $answers;
}

# The same from another process; returns what fetches the answers.
sub meanwhile {
    my ($who, $requests) = @_;
    my $file = temp_dir() . '/answers';
    defined(my $pid = fork) or die "fork: $!\n";
    if (!$pid) {
        Storable::nstore(insist($who, $requests), $file);
        POSIX::_exit(0);
    }
    return sub { waitpid $pid, 0; return Storable::retrieve($file) };
}

# Sends the requests, a list for each worker, at the same time; the answers,
# in the same lists.
sub both {
    my (@requests) = @_;
    my $other = meanwhile($worker[1], $requests[1]);
    my $mine = insist($worker[0], $requests[0]);
    return ($mine, $other->());
}

sub statuses {
    my %n;
    $n{$_->{status}}++ for @_;
    return \%n;
}

# How often a worker had to plan anew, or met a lock.
sub total { my ($what) = @_; my $sum = 0; $sum += $_->metric($what) for @worker; return $sum }

subtest 'a seat that the other has sold' => sub {
    my $hold = http($worker[0]->target, @{post(1, {seats => ['A-1']})});
    is $hold->{status}, 201, 'held at one';
    my $answer = http($worker[1]->target, @{post(2, {seats => ['A-1', 'A-2']})});
    is $answer->{status}, 409, 'the other, who does not know, is refused';
    is_deeply $answer->{json}{conflicts}, [{seat => 'A-1', state => 'held', version => 1}], '... told what is so';
    is $db->seat(1, 'A-2')->{version}, 0, '... and nothing is held';
    is $worker[0]->ask(1, DELETE => $hold->{headers}{location})->{status}, 204, 'released at one';
    eventually { http($worker[1]->target, @{post(2, {seats => ['A-1', 'A-2']})})->{status} == 201 } 5,
        'the other, who thinks it is held, asks again before it refuses';
};

subtest 'a version that the other has raised' => sub {
    my $at = sub { http($worker[$_[0]]->target, @{post($_[1], {seats => [{seat => 'A-3', version => $_[2]}]})}) };
    my $hold = $at->(0, 1, 0);
    is $hold->{status}, 201, 'held';
    is $worker[0]->ask(1, DELETE => $hold->{headers}{location})->{status}, 204, 'and free again, at version 2';
    my $answer = $at->(1, 2, 0);
    is $answer->{status}, 409, 'who saw version 0 is refused by the one that knows no other';
    is_deeply $answer->{json}{conflicts}, [{seat => 'A-3', state => 'free', version => 2}], '... and told the version';
    my $then = $at->(1, 2, 2);
    is "$then->{status} $then->{json}{seats}[0]{version}", '201 3', 'with it, it is his';
};

subtest 'a seat that was blocked at the same version' => sub {
    my $no = $db->seat(1, 'A-5')->{seat_no};
    $db->do("UPDATE seat SET state = 'blocked' WHERE performance_id = 1 AND seat_no = $no");
    is http($_->target, @{post(1, {seats => ['A-5']})})->{status}, 409, 'is not sold' for @worker;
    is $db->seat(1, 'A-5')->{state}, 'blocked', 'and stays as it is';
};

subtest 'a seat that is held at the same version' => sub {
    my $hold = http($worker[0]->target, @{post(1, {seats => ['A-7']})})->{json}{hold};
    my $no = $db->seat(1, 'A-7')->{seat_no};
    $db->do("UPDATE seat SET version = 0 WHERE performance_id = 1 AND seat_no = $no;
             UPDATE hold SET items = REPLACE(items, '[$no,1]', '[$no,0]') WHERE id = x'$hold'");
    is http($worker[1]->target, @{post(2, {seats => ['A-7']})})->{status}, 409, 'is not sold: its time is not over';
    is $db->seat(1, 'A-7')->{hold_id}, $hold, 'and stays as it is';
};

subtest 'the same seats at both, in opposite orders' => sub {
    my $before = total('db_retries_total');
    my (@wishes, %owner, $twice);
    for my $n (1 .. 300) {
        my @seats = map { 'B-' . (1 + ($n * 7 + $_ * 13) % 60) } 0 .. 3;
        push @wishes, [$n % 2 ? @seats : reverse @seats];
    }
    my ($one, $two) = both([map { post(1000 + $_, {seats => $wishes[$_]}) } 0 .. 299],
                           [map { post(2000 + $_, {seats => $wishes[$_]}) } reverse 0 .. 299]);
    is_deeply [grep { !/^(?:201|409)$/ } keys %{statuses(@$one, @$two)}], [], 'every answer is 201 or 409';
    for my $answer (grep { $_->{status} == 201 } @$one, @$two) {
        for my $seat (map { $_->{seat} } @{$answer->{json}{seats}}) {
            $twice++ if $owner{$seat};
            $owner{$seat} = $answer->{json}{hold};
        }
    }
    ok !$twice, 'no seat was promised twice';
    is_deeply {map { @$_ } @{$db->rows("SELECT seat, hold_id FROM seat_now WHERE seat LIKE 'B-%' AND state = 'held'")}},
        \%owner, 'the database holds what was promised';
    is $db->value("SELECT COUNT(*) FROM seat_now WHERE seat LIKE 'B-%' AND version > 1"), 0, 'each seat was written once';
    is total('db_retries_total'), $before, 'no deadlock: both lock in the same order';
};

subtest 'best available at both' => sub {
    my ($one, $two) = both(map { my $w = $_; [map { post($w * 1000 + $_, {best => {quantity => 1}}, performance => 3) } 1 .. 110] } 3, 4);
    my @made = grep { $_->{status} == 201 } @$one, @$two;
    is_deeply statuses(@$one, @$two), {201 => 200, 409 => 20}, 'all of the hall, and no more';
    my %seen;
    $seen{$_->{seat}}++ for map { @{$_->{json}{seats}} } @made;
    is_deeply [grep { $seen{$_} > 1 } keys %seen], [], 'no seat twice';
    is scalar(keys %seen), 200, 'none left over';
};

subtest 'standing places at both' => sub {
    my $before = total('db_retries_total');
    for my $pool (['floor', 60], ['one', 20]) {
        my ($name, $capacity) = @$pool;
        my @requests = map { my $w = $_; [map { post($w * 1000 + $_, {pools => [{pool => $name, quantity => 1}]}) } 1 .. 50] } 5, 6;
        my ($one, $two) = both(@requests);
        is_deeply statuses(@$one, @$two), {201 => $capacity, 409 => 100 - $capacity}, "$name: as many as there are";
    }
    my ($one, $two) = both(map { my $w = $_; [map { post($w * 1000 + $_, {pools => [{pool => 'lawn', quantity => 2}]}) } 1 .. 120] } 10, 11);
    is_deeply statuses(@$one, @$two), {201 => 200, 409 => 40}, 'lawn: as many as there are, from many buckets at once';
    is_deeply $db->rows('SELECT pool_no, SUM(held), SUM(capacity) FROM pool_bucket WHERE pool_no < 3 GROUP BY pool_no'),
        [[0, 60, 60], [1, 20, 20], [2, 400, 400]], 'the rows have it';
    is total('db_retries_total'), $before, 'no deadlock: both lock in the same order';
};

subtest 'seats and standing places together at both' => sub {
    my $before = total('db_retries_total');
    my @wishes = map { {seats => ["C-$_"], pools => [{pool => 'lot', quantity => 2}]} } 101 .. 180;
    my ($one, $two) = both([map { post(12_000 + $_, $wishes[$_]) } 0 .. 79], [map { post(13_000 + $_, $wishes[$_]) } 0 .. 79]);
    is_deeply statuses(@$one, @$two), {201 => 80, 409 => 80}, 'each seat to one, with places';
    is $db->value('SELECT SUM(held) FROM pool_bucket WHERE pool_no = 3'), 160, 'two each';
    is total('db_retries_total'), $before, 'no deadlock: both lock in the same order';
};

# A request that must wait for a row has locked none of those that come later.
subtest 'the order of locks' => sub {
    my $buckets = 'SELECT 1 FROM pool_bucket WHERE performance_id = 1 AND pool_no';
    my $seat = $db->seat(1, 'C-190')->{seat_no};
    for my $case (["SELECT 1 FROM seat WHERE performance_id = 1 AND seat_no = $seat",
                   "$buckets = 3", 'seats, then buckets', {seats => ['C-190'], pools => [{pool => 'lot', quantity => 1}]}],
                  ["$buckets = 4 AND bucket = 0", "$buckets = 4 AND bucket > 0", 'buckets as they are numbered',
                   {pools => [{pool => 'box', quantity => 8}]}]) {
        my ($first, $later, $name, $wish) = @$case;
        my ($run, $end) = $db->session;
        $run->('START TRANSACTION');
        $run->("$first FOR UPDATE");
        my $answers = meanwhile($worker[0], [post(14_000, $wish)]);
        eventually { $db->value("SELECT COUNT(*) FROM information_schema.innodb_trx t
            JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
            WHERE p.db = DATABASE() AND t.trx_state = 'LOCK WAIT'") } 5, "$name: it waits";
        ok eval { $db->rows("$later FOR UPDATE NOWAIT"); 1 }, '... and has nothing that comes later' or diag $@;
        $run->('ROLLBACK');
        $end->();
        is $answers->()->[0]{status}, 201, '... and then is made';
    }
};

subtest 'one visitor at both' => sub {
    my @requests = map { my $w = $_; [map { post(7000, {best => {quantity => 1}}, performance => 2) } 1 .. 20] } 1, 2;
    my ($one, $two) = both(@requests);
    is_deeply statuses(@$one, @$two), {201 => 4, 422 => 36}, 'has what he may, and no more';
    is_deeply $db->rows('SELECT held, max_units FROM user_limit'), [[4, 4]], 'as is counted';
    my $pair = http($worker[0]->target, @{post(7001, {best => {quantity => 2}}, performance => 2)});
    is $pair->{status}, 201, 'others have theirs';
};

subtest 'one key at both' => sub {
    my @keys = map { Ticket::Worker::new_key() } 1 .. 40;
    my @requests = map { post(8000 + $_, {seats => ["C-$_"]}, key => $keys[$_ - 1]) } 1 .. 40;
    my ($one, $two) = both(\@requests, [reverse @requests]);
    is_deeply statuses(@$one, @$two), {201 => 80}, 'is answered twice';
    $two = [reverse @$two];
    is_deeply [grep { $one->[$_]{body} ne $two->[$_]{body} } 0 .. 39], [], 'with the same hold';
    is scalar(grep { $db->seat(1, "C-$_")->{version} == 1 } 1 .. 40), 40, 'made once';
    my $again = http($worker[1]->target, @{$requests[0]});
    is "$again->{body} $again->{headers}{'idempotency-replayed'}", "$one->[0]{body} ?1", 'and later';
    is http($worker[1]->target, @{post(8001, {seats => ['C-100']}, key => $keys[0])})->{json}{code},
        'idempotency_key_reused', 'another body is refused by both';
};

is $db->broken, '', 'the invariants hold';

done_testing;
