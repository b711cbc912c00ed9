# The stock: Redis is told how many seats each room instance has left, soon
# after every change, and in the end rightly, whatever workers and Redis do.
# Regular counts are an hour apart unless a subtest is about them.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Redis;
use Ticket::Worker;
use Time::HiRes qw(sleep time);

my $db = Ticket::MariaDB->new(dir => temp_dir(), private => 1);
$db->add_performance(1, 'hall', 300_000, map { "A-$_" } 1 .. 60);
$db->add_performance(2, 'hall', 300_000, map { "B-$_" } 1 .. 10);
$db->add_performance(3, 'hall:20261201', 300_000, 'C-1', 'C-2');
$db->add_performance(4, 'gone', 300_000, 'D-1');
$db->set_seat(1, 'A-59', 'sold');
$db->set_seat(1, 'A-60', 'blocked');
$db->set_seat(4, 'D-1', 'sold');
our $redis = Ticket::Redis->new(dir => temp_dir());
my $worker = worker('worker');

sub worker {
    my ($name, %section) = @_;
    return Ticket::Worker->new(dir => temp_dir(), db => $db, name => $name, config => {refresh_s => 1},
        redis => {recount_s => 3600, exists $section{host} ? () : (socket => $redis->socket), %section});
}

sub stock { return $redis->cmd(GET => 'ticket:{' . ($_[0] // 'hall') . '}:stock') // 'absent' }

# What the database says.
sub seats_left {
    my ($room) = @_;
    return $db->value("SELECT COALESCE(SUM(state = 'free' OR state = 'held' AND expires_at <= UTC_TIMESTAMP(3)), 0)
                       FROM performance p JOIN seat s ON s.performance_id = p.id WHERE room = '" . ($room // 'hall') . "'");
}

# The stock comes to be that number.
sub becomes {
    my ($number, $name, $room) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    eventually { stock($room) eq $number } 10, $name or diag 'stock is ' . stock($room);
    return;
}

# A hold that succeeds: its path.
sub held {
    my ($by, $number, @seats) = @_;
    return held_of($by, $number, 1, @seats);
}

# The same of another performance, and with the headers of another room.
sub held_of {
    my ($by, $number, $performance, @seats) = @_;
    my @room = $performance == 3 ? (room => 'hall:20261201') : ();
    my $answer = http($by->target, POST => "/v1/performances/$performance/holds",
        {$by->headers(number => $number, @room), 'Idempotency-Key' => Ticket::Worker::new_key()}, {seats => \@seats});
    is $answer->{status}, 201, "@seats held" or diag $answer->{body};
    return $answer->{headers}{location};
}

sub said { return scalar grep { $_ =~ $_[1] } split /\n/, slurp($_[0]{log}) }

subtest 'the number follows' => sub {
    becomes 68, 'at the start all is counted: free seats of both performances';
    becomes 2, 'of another room instance', 'hall:20261201';
    becomes 0, 'of one that is sold out', 'gone';
    my $hold = held($worker, 1, 'A-1', 'A-2');
    becomes 66, 'held seats are gone';
    sleep 0.5;    # until the check of that is over, which would see the next
    is $worker->ask(1, DELETE => $hold)->{status}, 204, 'released';
    becomes 68, 'and they are back';
    is $redis->cmd(TTL => 'ticket:{hall}:stock'), -1, 'the key stays';
    held_of($worker, 1, 3, 'C-1', 'C-2');
    becomes 0, 'the other is sold out', 'hall:20261201';
    is stock(), 68, 'which is nothing to this one';
    cmp_ok $worker->metric('stock_published_total'), '>=', 6, 'it is counted';
    is $worker->metric('stock_failures_total'), 0, 'nothing failed';
    like $worker->metric('stock_age_seconds'), qr/^[0-9]+\.[0-9]{3}$/, 'and the age is known';
};

subtest 'a hold that runs out' => sub {
    live_for($worker, 1000);
    held($worker, 1, 'A-1');
    held_of($worker, 1, 2, 'B-1', 'B-2');
    becomes 65, 'two seats for a second, one for longer: are gone';
    becomes 67, 'and two are back without a request';
    live_for($worker, 300_000);
};

# Changes how long holds of performance 2 live.
sub live_for {
    my ($by, $ms) = @_;
    $db->do("UPDATE performance SET hold_ttl_ms = $ms WHERE id = 2");
    eventually { $by->ask(1, GET => '/v1/performances/2')->{json}{hold_ttl_ms} == $ms } 10, 'the worker hears of it';
    return;
}

# A Redis that passes on what it likes and when it likes: the test itself.
my $between = temp_dir() . '/between.sock';
my $server = IO::Socket::UNIX->new(Local => $between, Listen => 8) or die "$between: $!\n";
my $clients = IO::Select->new($server);
my $client;

# The worker's next SET, connecting whoever comes; after a while of silence an
# empty one.  Who wants something else, of the streams, is hung up on.
sub next_command {
    my $until = time + 10;
    while (my ($fh) = $clients->can_read($until > time ? $until - time : 0)) {
        if ($fh == $server) { $clients->add($server->accept); next }
        my $command = eval { Ticket::Redis::_decode($fh) };
        if ($command && $command->[0] eq 'SET') { $client = $fh; return $command }
        undef $client if $client && $client == $fh;
        $clients->remove($fh);
        close $fh;
    }
    return [];
}

sub pass_on {
    my ($command) = @_;
    return if !@$command;
    my $answer = $redis->cmd(@$command);
    local $SIG{PIPE} = 'IGNORE';
    return $client->print("+$answer\r\n") && $client->flush;
}

sub gave_up { return !$client || IO::Select->new($client)->can_read(0) }

subtest 'what comes late' => sub {
    my $late = worker('late', socket => $between);
    pass_on(next_command()) for 1 .. $db->value('SELECT COUNT(DISTINCT room) FROM performance');
    my $seat = 2;
    # A worker that waits for an answer for a second gives up and begins anew.
    for my $try (1 .. 5) {
        held($late, 1, 'A-' . $seat++);
        my $set = next_command();
        is_deeply $set, [SET => 'ticket:{hall}:stock', seats_left()], 'one worker is about to tell';
        held($worker, 1, 'A-' . $seat++);
        my $right = seats_left();
        becomes $right, 'another tells a later count';
        next if gave_up() || !pass_on($set);
        is stock(), $right + 1, 'the first comes late';
        my $again = next_command();
        is_deeply $again, [SET => 'ticket:{hall}:stock', $right], 'and puts it right by itself';
        pass_on($again);
        is stock(), $right, 'so it is right';
        last;
    }
    for my $try (1 .. 5) {
        held($late, 1, 'A-' . $seat++);
        my $set = next_command();
        held($late, 1, 'A-' . $seat++);
        $late->{ending} = 1;
        kill TERM => $late->pid;
        sleep 0.4;    # more than it takes to notice that nobody asks any more
        my $in_time = !gave_up() && pass_on($set);
        if ($in_time) {
            my $last = next_command();
            is_deeply $last, [SET => 'ticket:{hall}:stock', seats_left()], 'what was sold right before the end is told';
            pass_on($last);
        }
        $late->stop;
        last if $in_time;
        $late->start;
        pass_on(next_command()) for 1 .. $db->value('SELECT COUNT(DISTINCT room) FROM performance');
    }
    close $server;
};

subtest 'two workers under load' => sub {
    my @workers = ($worker, worker('other'));
    $redis->cmd('CONFIG', 'RESETSTAT');
    my $began = time;
    for my $round (1 .. 3) {
        my @made = map { [1000 + $_, held($workers[$_ % 2], 1000 + $_, 'A-' . (25 + $_))] } 1 .. 15;
        my @pids = map { changes($workers[$_], [@made[grep { $_ % 3 } 0 .. $#made]]) } 0, 1;
        waitpid $_, 0 for @pids;
        becomes seats_left(), "round $round: the right number in the end";
        http_many($worker->target, [map { $worker->request($_->[0], DELETE => $_->[1]) } @made]);
        eventually { !grep { $_->{seat} =~ /^A-(?:2[6-9]|3[0-9]|40)$/ && $_->{state} ne 'free' } map {
            @{$_->ask(1, GET => '/v1/performances/1/seats')->{json}{seats}} } @workers } 10, 'both hear what is free';
    }
    my $sets = $redis->commandstats->{set};
    cmp_ok $sets, '<=', 2 * (10 * (time - $began) + 2), 'no worker tells more often than ten times a second';
    $workers[1]->stop;
};

# A process that releases the holds (number, path) and makes others, again and
# again, through that worker.
sub changes {
    my ($by, $holds) = @_;
    my $pid = fork() // die "fork: $!\n";
    return $pid if $pid;
    for my $again (1 .. 5) {
        my $made = http_many($by->target, [map {
            $by->request(2000 + $_, POST => '/v1/performances/2/holds', {seats => ["B-$_"]}) } 1 .. 10], concurrency => 10);
        my @mine = map { [2000 + $_, $made->[$_ - 1]{headers}{location} // "/v1/holds/" . '0' x 32] } 1 .. 10;
        http_many($by->target, [map { $by->request($_->[0], DELETE => $_->[1]) } @$holds, @mine], concurrency => 10);
    }
    POSIX::_exit(0);
}

subtest 'Redis goes away and comes back' => sub {
    my $lost = qr/"error".*redis: .*the stock is not published/;
    my $before = said($worker, $lost);
    $redis->kill9;
    eventually { said($worker, $lost) > $before } 10, 'the worker says so';
    my $failures = $worker->metric('stock_failures_total');
    held($worker, $_, 'A-' . (40 + $_)) for 1 .. 5;
    eventually { $worker->metric('stock_failures_total') > $failures + 2 } 20, 'it tries again and again';
    is said($worker, $lost), $before + 1, 'but says so once';
    $redis->restart(empty => 1);
    becomes seats_left(), 'all is told anew, without any request';
    becomes seats_left('hall:20261201'), 'of every room instance', 'hall:20261201';
    eventually { said($worker, qr/published again/) } 5, 'and it says that, too';
    $redis->restart(empty => 1);
    becomes seats_left(), 'also when it was away but for a moment and nothing was sold';
};

subtest 'Redis hangs' => sub {
    kill STOP => $redis->pid;
    my $answers = http_many($worker->target, [map { $worker->hold(1, "A-$_") } 46 .. 55], concurrency => 2);
    is_deeply [map { $_->{status} } @$answers], [(201) x 10], 'seats are held as ever';
    my $stopped = said($worker, qr/"message":"stopped"/);
    my $told = time;
    $worker->stop;
    cmp_ok time - $told, '<', 8, 'a stop is quick, too';
    is said($worker, qr/"message":"stopped"/), $stopped + 1, 'and clean';
    kill CONT => $redis->pid;
    $worker->start;
    becomes seats_left(), 'the next start puts it right';
};

subtest 'regular counts' => sub {
    $worker->stop;
    my $regular = worker('regular', recount_s => 1);
    becomes seats_left(), 'as it is';
    $db->set_seat(1, 'A-58', 'blocked');
    becomes seats_left(), 'seats that are changed by hand';
    $redis->cmd(DEL => 'ticket:{hall}:stock');
    becomes seats_left(), 'a number that was lost';
    $db->add_performance(5, 'new', 300_000, 'E-1', 'E-2', 'E-3');
    becomes 3, 'a room instance that is new', 'new';
    $db->do('DELETE FROM seat WHERE performance_id = 5; DELETE FROM performance WHERE id = 5');
    becomes 0, 'and one that has no performance any more', 'new';
    $regular->stop;
};

# A Redis of its own with an account of the worker's as docs/worker.md has it.
subtest 'an account that may do no more' => sub {
    my ($acl) = slurp(root_dir() . '/docs/worker.md') =~ /^    (ACL SETUSER ticket-worker .*)$/m;
    my $password = 'p' . join '', map { ('a' .. 'z')[rand 26] } 1 .. 24;
    local $redis = Ticket::Redis->new(dir => temp_dir(), name => 'guarded');
    $redis->cmd(split ' ', $acl =~ s/>\S+/>$password/r);
    Ticket::MariaDB::write_secret(temp_dir() . '/redis.password', "$password\n");
    Ticket::MariaDB::write_secret(temp_dir() . '/wrong.password', "wrong$password\n");
    $redis->cmd(qw(ACL SETUSER default), 'resetpass', ">root$password");
    delete $redis->{connection};
    $redis->cmd(AUTH => "root$password");
    for my $command ([GET => 'ticket:{hall}:stock'], [SET => 'ticket:{hall}', 1], [DEL => 'ticket:{hall}:stock'],
                     ['FLUSHALL'], [HSET => 'ticket:{hall}', 'epoch', 1], ['INFO'], [KEYS => '*']) {
        like $redis->cmd('ACL', 'DRYRUN', 'ticket-worker', @$command), qr/no permissions/, "may not: @$command";
    }
    my %user = (user => 'ticket-worker', password_file => temp_dir() . '/redis.password');
    my $guarded = worker('guarded-worker', %user);
    becomes seats_left(), 'it is told with that account';
    is $guarded->metric('stock_failures_total'), 0, 'nothing was refused';

    my $wrong = worker('wrong', %user, password_file => temp_dir() . '/wrong.password');
    eventually { said($wrong, qr/"error".*redis: AUTH: WRONGPASS/) } 10, 'a wrong password is told';
    held($wrong, 1, 'A-56');
    unlike slurp($wrong->{log}) . slurp($guarded->{log}), qr/\Q$password\E/, 'but not shown';
    is $wrong->metric('stock_age_seconds'), undef, 'nothing was published';

    my $base = worker('base', %user, db => 1);
    eventually { said($base, qr/"error".*redis: SELECT: NOPERM/) } 10, 'another database needs SELECT';
    $redis->cmd(qw(ACL SETUSER ticket-worker +select));
    eventually { $redis->cmd(SELECT => 1); stock() eq seats_left() } 10, 'and then is used';
    $redis->cmd(SELECT => 0);

    my $plain = worker('plain', password_file => temp_dir() . '/wrong.password');
    eventually { said($plain, qr/"error".*redis: AUTH: /) } 10, 'a password without a user is sent, too';
};

subtest 'over TCP' => sub {
    my $free = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!\n";
    my $port = $free->sockport;
    close $free;
    local $redis = Ticket::Redis->new(dir => temp_dir(), name => 'tcp', options => ['--port', $port, '--bind', '127.0.0.1']);
    my $tcp = worker('tcp-worker', host => '127.0.0.1', port => $port);
    becomes seats_left(), 'it is told';
    held($tcp, 1, 'A-57');
    becomes seats_left(), 'and follows';
};

subtest 'the database goes away and comes back' => sub {
    my $patient = worker('patient', recount_s => 1);
    becomes seats_left(), 'told';
    my $told = stock();
    $db->kill9;
    my $failures = $patient->metric('stock_failures_total');
    eventually { $patient->metric('stock_failures_total') > $failures + 1 } 20, 'it cannot count';
    is stock(), $told, 'what was told stays';
    $db->start;
    $db->set_seat(2, 'B-10', 'sold');
    becomes $told - 1, 'and then it counts again';
};

done_testing;
