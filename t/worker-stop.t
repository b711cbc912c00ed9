# Rule S7 and clean stops: what was acknowledged is there, whatever is stopped
# or killed; a worker told to stop answers what it accepted; a database that
# goes away and comes back costs 503s and nothing else.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use IO::Socket::UNIX;
use POSIX ();
use Storable ();
use Ticket::Http;
use Ticket::MariaDB;
use Ticket::Worker;
use Time::HiRes qw(sleep time);

my $PER_CROWD = 20_000;

my $db = Ticket::MariaDB->new(dir => temp_dir(), private => 1);
$db->add_performance(1, 'hall', 3_600_000, 'A-1');
$db->do("INSERT INTO seat (performance_id, seat, row_no, pos)
         SELECT 1, CONCAT('S-', seq), 1 + seq DIV 100, seq MOD 100 FROM seq_1_to_" . 3 * $PER_CROWD);
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
            my $got = $client->many([map { $worker->hold($_, "S-$_") } @round], concurrency => 32);
            push @answers, map { { seat => "S-$round[$_]", number => $round[$_],
                                   status => $got->[$_]{status}, error => $got->[$_]{error},
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

# The holds the database has for the seats of the answers, as seat to id.
sub held {
    my ($answers) = @_;
    my %asked = map { $_->{seat} => 1 } @$answers;
    return {map { @$_ } grep { $asked{$_->[0]} }
            @{$db->rows("SELECT seat, hold_id FROM seat WHERE state = 'held'")}};
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
};

subtest 'kill -9 of the database' => sub {
    my $answers = crowd();
    sleep 0.7;
    $db->kill9;
    sleep 0.2;
    my $health = $worker->ask(1, GET => '/healthz');
    is $health->{status}, 503, 'the worker says that it is away';
    ok $health->{headers}{'retry-after'}, 'and when to ask again';
    is $worker->ask(1, GET => '/v1/performances/1/seats')->{status}, 503, 'no list then';
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
};

# Whether the crowd held seats after its last 503.
sub held_after {
    my ($told, $answers) = @_;
    my ($last) = grep { $answers->[$_]{status} == 503 } reverse 0 .. $#$answers;
    return scalar grep { $told->{$_->{seat}} } @{$answers}[$last + 1 .. $#$answers];
}

is $db->broken, '', 'the invariants hold';

done_testing;
