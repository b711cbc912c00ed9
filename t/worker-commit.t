# The answer to COMMIT can be lost.  Then nobody but the database knows what
# became of the hold, and the worker asks it before it answers: never a hold
# that is not there, never a conflict with oneself.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use POSIX ();
use Storable ();
use Ticket::CommitProxy;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_performance(1, 'hall', 300_000, map { "A-$_" } 1 .. 600);
$db->add_hall(id => 2, room => 'hall', max_per_user => 10, pools => [{name => 'floor', capacity => 1000, buckets => 2}]);
my $proxy = Ticket::CommitProxy->new(dir => temp_dir(), db => $db);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, config => {db_socket => $proxy->socket});
my $seat = 1;

my %title = (
    before => 'it never reached the database',
    after  => 'the database has committed',
    late   => 'the database commits only later',
);

for my $what (sort keys %title) {
    subtest "one lost answer: $title{$what}" => sub {
        my @seats = map { 'A-' . $seat++ } 1 .. 3;
        $proxy->order($what, 1);
        my $answer = http($worker->target, $worker->hold(1, @seats));
        is $proxy->left, 0, 'it was lost';
        is $answer->{status}, 201, 'the hold is made' or diag $answer->{body};
        is $answer->{headers}{'idempotency-replayed'}, undef, 'by this request' if $what ne 'late';
        my $hold = $answer->{json};
        is_deeply $hold->{seats}, [map { {seat => $_, version => 1, tier => 'standard'} } @seats], 'once';
        is_deeply $db->rows("SELECT seat, version FROM seat_now WHERE hold_id = '$hold->{hold}' ORDER BY seat_no"),
            [map { [$_, 1] } @seats], 'as the database has it';
        is $worker->ask(1, GET => "/v1/holds/$hold->{hold}")->{json}{expires_at}, $hold->{expires_at},
            'until the time that was told';

        $proxy->order($what, 1);
        is $worker->ask(1, DELETE => "/v1/holds/$hold->{hold}")->{status}, 204, 'and so with a release';
        is $db->value("SELECT COUNT(*) FROM seat_now WHERE hold_id = '$hold->{hold}'"), 0, 'that is done';
        is $db->broken, '', 'the invariants hold';
    };

    subtest "a lost answer to a hold of standing places: $title{$what}" => sub {
        my $before = $db->value('SELECT SUM(held) FROM pool_bucket');
        my $number = 100 + $seat;
        $proxy->order($what, 1);
        my $answer = $worker->ask($number, POST => '/v1/performances/2/holds', {pools => [{pool => 'floor', quantity => 3}]});
        is $proxy->left, 0, 'it was lost';
        is $answer->{status}, 201, 'the hold is made' or diag $answer->{body};
        is $db->value('SELECT SUM(held) FROM pool_bucket'), $before + 3, 'the places are taken once';
        is $db->value("SELECT held FROM user_limit ORDER BY visitor = (SELECT visitor FROM hold
                       WHERE id = x'$answer->{json}{hold}') DESC LIMIT 1"), 3, 'and counted once';
    };

    subtest "thirty lost answers in a crowd: $title{$what}" => sub {
        $proxy->order($what, 30);
        my @seats = map { 'A-' . $seat++ } 1 .. 80;
        my $answers = http_many($worker->target, [map { $worker->hold($_, $seats[$_ % 80]) } 1 .. 240],
                                concurrency => 40);
        cmp_ok $proxy->left, '<', 30, 'they were lost';
        my (%n, %told);
        for my $i (0 .. $#$answers) {
            $n{$answers->[$i]{status}}++;
            $told{$seats[($i + 1) % 80]} = $answers->[$i]{json}{hold} if $answers->[$i]{status} == 201;
        }
        is_deeply [grep { $_ != 201 && $_ != 409 && $_ != 503 } keys %n], [], 'no other answer than 201, 409, 503';
        my $names = join ',', map { "'$_'" } @seats;
        my %held = map { @$_ } @{$db->rows("SELECT seat, hold_id FROM seat_now WHERE seat IN ($names) AND hold_id IS NOT NULL")};
        is_deeply [grep { ($held{$_} // '') ne $told{$_} } keys %told], [], 'every hold told is there';
        is $db->broken, '', 'the invariants hold';
        $proxy->order($what, 0);
    };

    subtest "lost answers to batches of many holds: $title{$what}" => sub {
        my @seats = map { 'A-' . $seat++ } 1 .. 60;
        my $names = join ',', map { "'$_'" } @seats;
        my $written = length slurp($worker->{log});

        # While nothing goes through, two batches are under way, and all others
        # wait for these.
        kill STOP => $proxy->pid;
        my $answers = meanwhile(map { $worker->hold($_, $seats[$_ - 1]) } 1 .. 60);
        eventually { $worker->metric('requests_in_flight') >= 60 } 4, 'all are there';
        $proxy->order($what, 6);
        kill CONT => $proxy->pid;
        $answers = $answers->();
        $proxy->order($what, 0);

        my @sizes = substr(slurp($worker->{log}), $written) =~ /the answer to COMMIT of ([0-9]+) holds was lost/g;
        cmp_ok((sort { $b <=> $a } @sizes)[0] // 0, '>=', 10, 'one of them to a batch of many') or diag "@sizes";
        is_deeply [map { "$_->{status} $_->{body}" } grep { $_->{status} != 201 } @$answers], [], 'everybody has a hold';
        is_deeply {map { @$_ } @{$db->rows("SELECT seat, hold_id FROM seat_now WHERE seat IN ($names) AND version = 1")}},
            {map { $seats[$_] => $answers->[$_]{json}{hold} } 0 .. 59}, 'that was made once, for him';
        is $db->broken, '', 'the invariants hold';
    };
}

# Sends the requests from another process; returns what fetches the answers.
sub meanwhile {
    my (@requests) = @_;
    my $file = temp_dir() . '/answers';
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        Storable::nstore(http_many($worker->target, \@requests, concurrency => scalar @requests), $file);
        POSIX::_exit(0);
    }
    return sub { waitpid $pid, 0; return Storable::retrieve($file) };
}

done_testing;
