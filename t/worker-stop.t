# Rule S7 and clean stops: what was acknowledged is there, whatever is stopped
# or killed; a worker told to stop answers what it accepted; a database that
# goes away and comes back costs 503s and nothing else.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use IO::Socket::UNIX;
use POSIX ();
use Storable ();
use Ticket::Http qw(http_many);
use Ticket::MariaDB;
use Ticket::Worker;
use Time::HiRes qw(sleep time);

my $PER_CROWD = 20_000;

my $db = Ticket::MariaDB->new(dir => temp_dir(), private => 1);
$db->add_performance(1, 'hall', 3_600_000, map { "S-$_" } 1 .. 3 * $PER_CROWD);
$db->add_hall(id => 2, room => 'hall', sections => [{name => 'B', rows => 1, seats_per_row => 2}],
              pools => [{name => 'floor', capacity => 10}]);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db);
my $next_seat = 1;

# A crowd in a process of its own: holds seat after seat, each its own, from
# 32 connections, and takes it easier while that does not work.  Returns what
# ends it and fetches the answers.
sub crowd {
    my $first = $next_seat;
    my ($file, $stop) = map { temp_dir() . "/crowd.$first.$_" } 'answers', 'stop';
    $next_seat += $PER_CROWD;
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        my $client = Ticket::Http->new($worker->target, timeout => 15);
        my ($seat, @answers) = $first;
        while (!-e $stop && $seat < $next_seat) {
            my @round = grep { $_ < $next_seat } $seat .. $seat + 63;
            $seat += 64;
            my @requests = map { $worker->hold($_, "S-$_") } @round;
            my $got = $client->many(\@requests, concurrency => 32);
            push @answers, map { { seat => "S-$round[$_]", number => $round[$_],
                                   key => $requests[$_][2][-1], status => $got->[$_]{status}, error => $got->[$_]{error},
                                   hold => $got->[$_]{json}{hold}, code => $got->[$_]{json}{code},
                                   retry => $got->[$_]{headers}{'retry-after'} } } 0 .. $#round;
            sleep 0.05 if grep { $_->{status} != 201 } @$got;
        }
        Storable::nstore(\@answers, $file);
        POSIX::_exit(0);
    }
    return sub {
        Ticket::MariaDB::write_secret($stop);
        waitpid $pid, 0;
        return Storable::retrieve($file);
    };
}

# What comes of it when all of them ask again, with the keys they had: seat to
# status and hold.
sub asked_again {
    my ($answers) = @_;
    my $again = http_many($worker->target, [map {
        $worker->request($_->{number}, POST => '/v1/performances/1/holds', {seats => [$_->{seat}]}, $_->{key});
    } @$answers], concurrency => 32);
    return {map { $answers->[$_]{seat} => "$again->[$_]{status} " . ($again->[$_]{json}{hold} // '') } 0 .. $#$answers};
}

# The holds the database has for the seats of the answers, as seat to id.
sub held {
    my ($answers) = @_;
    my %asked = map { $_->{seat} => 1 } @$answers;
    return {map { @$_ } grep { $asked{$_->[0]} }
            @{$db->rows("SELECT seat, hold_id FROM seat_now WHERE performance_id = 1 AND state = 'held'")}};
}

sub told { return {map { $_->{seat} => $_->{hold} } grep { $_->{status} == 201 } @{$_[0]}} }

# Answers that are none of the statuses.
sub others {
    my ($answers, @statuses) = @_;
    my %fine = map { $_ => 1 } @statuses;
    return [map { "$_->{seat}: $_->{status} " . ($_->{error} // $_->{code} // '') }
            grep { !$fine{$_->{status}} } @$answers];
}

subtest 'SIGTERM under load' => sub {
    my $answers = crowd();
    for (1 .. 3) {
        sleep 0.3;
        my $told = time;
        $worker->stop;
        cmp_ok time - $told, '<', 10, 'it ends in time';
        ok !-e substr($worker->target, 5), 'and takes its socket away';
        $worker->start;
    }
    sleep 0.2;
    $answers = $answers->();
    my @lost = grep { $_->{status} != 201 && ($_->{error} // '') !~ /^connect:/ } @$answers;
    is_deeply \@lost, [], 'whoever was let in has an answer';
    cmp_ok scalar(keys %{told($answers)}), '>', 100, 'there was a load';
    is_deeply held($answers), told($answers), 'and the database has what was told, no more and no less';
    my @log = split /\n/, slurp($worker->{log});
    is scalar(grep { /"message":"stopped"/ } @log), 3, 'three clean stops';
};

subtest 'SIGTERM while many are still waiting to be let in' => sub {
    $worker->{ending} = 1;
    kill 'STOP', $worker->pid;
    my @visitors = map {
        my $fh = IO::Socket::UNIX->new(Peer => substr $worker->target, 5) or die "connect: $!\n";
        print {$fh} "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        $fh->flush;
        $fh;
    } 1 .. 300;
    kill $_, $worker->pid for 'TERM', 'CONT';
    my @answers = map { local $/ = undef; scalar readline($_) // '' } @visitors;
    is scalar(grep { m{^HTTP/1\.1 200 } && /^Connection: close\r$/m } @answers), 300,
        'all of them are answered, and told that the connection ends';
    $worker->stop;
    $worker->start;
};

subtest 'SIGINT' => sub {
    local $worker->{stop_signal} = 'INT';
    $worker->stop;
    $worker->start;
    is_deeply [$worker->problems], [], 'is a clean stop, too';
};

subtest 'kill -9 of the worker' => sub {
    my $answers = crowd();
    sleep 0.5;
    $worker->kill9;
    ok -e substr($worker->target, 5), 'its socket is left behind';
    $worker->start;
    sleep 0.2;
    $answers = $answers->();
    my ($told, $held) = (told($answers), held($answers));
    cmp_ok scalar(keys %$told), '>', 100, 'there was a load';
    is_deeply [grep { ($held->{$_} // '') ne $told->{$_} } keys %$told], [],
        'every hold that was acknowledged is there';
    my ($one) = grep { $_->{status} == 201 } @$answers;
    is $worker->ask($one->{number}, GET => "/v1/holds/$one->{hold}")->{status}, 200,
        'and its owner has it still';
    my $again = asked_again($answers);
    $held = held($answers);
    is_deeply $again, {map { $_->{seat} => "201 $held->{$_->{seat}}" } @$answers},
        'who asks again with the same key has a hold, told before or not';
    is_deeply [grep { $held->{$_} ne $told->{$_} } keys %$told], [], 'those who were told the same';
};

subtest 'kill -9 of the database' => sub {
    my $answers = crowd();
    sleep 0.7;
    $db->kill9;
    sleep 0.2;
    my $health = $worker->ask(1, GET => '/healthz');
    is $health->{status}, 503, 'the worker says that it is away';
    ok $health->{headers}{'retry-after'}, 'and when to ask again';
    is $worker->ask(1, GET => '/v1/performances/1/seats')->{status}, 200, 'the list is told as it was last known';
    is $worker->ask(1, GET => '/v1/performances/2/seats')->{status}, 503, 'unless nothing is known';
    is $worker->ask(1, GET => '/v1/performances/1/holds')->{status}, 503, 'nobody\'s holds';
    is $worker->ask(1, GET => '/v1/holds/' . '0' x 32)->{status}, 503, 'no hold, and no 404 either';
    is $worker->ask(1, DELETE => '/v1/holds/' . '0' x 32)->{status}, 503, 'no release';
    sleep 3.5;    # longer than a COMMIT without an answer is looked for
    $db->start;
    eventually { $worker->ask(1, GET => '/healthz')->{status} == 200 } 5, 'it comes back by itself';
    sleep 1.5;
    $answers = $answers->();

    is_deeply others($answers, 201, 503), [], 'every answer was 201 or 503';
    is_deeply [grep { $_->{status} == 503 && !$_->{retry} } @$answers], [], 'each 503 with Retry-After';
    ok scalar(grep { $_->{status} == 503 } @$answers), 'some were 503';
    my ($told, $held) = (told($answers), held($answers));
    is_deeply [grep { ($held->{$_} // '') ne $told->{$_} } keys %$told], [],
        'every hold that was acknowledged is there';
    my $after = held_after($told, $answers);
    ok $after, 'and holds were made again afterwards';
    my $again = asked_again($answers);
    $held = held($answers);
    is_deeply $again, {map { $_->{seat} => "201 $held->{$_->{seat}}" } @$answers},
        'who asks again with the same key has a hold, whatever the first answer was';
    is_deeply [grep { $held->{$_} ne $told->{$_} } keys %$told], [], 'those who were told the same';
};

# Whether the crowd held seats after its last 503.
sub held_after {
    my ($told, $answers) = @_;
    my ($last) = grep { $answers->[$_]{status} == 503 } reverse 0 .. $#$answers;
    return scalar grep { $told->{$_->{seat}} } @{$answers}[$last + 1 .. $#$answers];
}

# A hold of performance 2, and how it is released.
sub pair {
    my ($number) = @_;
    return $worker->ask($number, POST => '/v1/performances/2/holds',
        {seats => ['B-1-1', 'B-1-2'], pools => [{pool => 'floor', quantity => 2}]});
}

sub said { my ($pattern) = @_; return scalar grep { $_ =~ $pattern } split /\n/, slurp($worker->{log}) }

subtest 'a database that may only be read' => sub {
    my $made = pair(1);
    is $made->{status}, 201, 'a hold before';
    $db->do('SET GLOBAL read_only = 1');
    my $before = said(qr/read-only/);
    my $answers = http_many($worker->target, [map { $worker->request($_, POST => '/v1/performances/2/holds',
        {pools => [{pool => 'floor', quantity => 1}]}) } 1 .. 50], concurrency => 50);
    is_deeply [grep { $_->{status} != 503 || !$_->{headers}{'retry-after'} } @$answers], [], 'holds: 503, with Retry-After';
    cmp_ok said(qr/read-only/) - $before, '<', 50, 'which is not told again and again';
    is $worker->ask(1, GET => $made->{headers}{location})->{status}, 200, 'what was held can be read';
    is $worker->ask(1, DELETE => $made->{headers}{location})->{status}, 503, 'but not be released';
    is $worker->ask(1, GET => '/v1/performances/2/seats')->{status}, 200, 'the list is there';
    $db->do('SET GLOBAL read_only = 0');
    eventually { $worker->ask(1, DELETE => $made->{headers}{location})->{status} == 204 } 5, 'released, when it may be written to again';
    $made = pair(2);
    is $made->{status}, 201, 'and held' or diag $made->{body};
    is $worker->ask(2, DELETE => $made->{headers}{location})->{status}, 204, 'and released';
};

subtest 'a database without connections to spare' => sub {
    my $limit = $db->value('SELECT @@max_connections');
    my @taken = map { [$db->session] } 1 .. 12;
    $_->[0]->('SELECT 1') for @taken;
    $worker->stop;
    $db->do('SET GLOBAL max_connections = 10');
    $worker->start;
    my $answers = http_many($worker->target, [map { $worker->request($_, POST => '/v1/performances/2/holds',
        {pools => [{pool => 'floor', quantity => 1}]}) } 1 .. 20], concurrency => 20);
    is_deeply [grep { $_->{status} != 503 || !$_->{headers}{'retry-after'} } @$answers], [], 'holds: 503, with Retry-After';
    is $worker->ask(1, GET => '/healthz')->{status}, 503, 'it says that the database is away';
    $_->[1]->() for @taken;
    eventually { $worker->ask(1, GET => '/healthz')->{status} == 200 } 5, 'when some are free it comes back';
    eventually { pair(3)->{status} == 201 } 5, 'and holds are made';
    $db->do("SET GLOBAL max_connections = $limit");
};

is $db->broken, '', 'the invariants hold';

done_testing;
