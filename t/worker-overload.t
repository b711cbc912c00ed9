# More than the worker can do: it says so at once instead of letting a queue
# grow that nobody waits for, and clients who are slow keep nobody from being
# served.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use IO::Select;
use IO::Socket::UNIX;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;
use Time::HiRes qw(sleep time);

my $db = Ticket::MariaDB->new(dir => temp_dir(), private => 1);
$db->add_hall(id => 1, room => 'hall', ttl_ms => 3_600_000, sections => [{name => 'S', rows => 50, seats_per_row => 100}]);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, config => {queue => 40, db_connections => 2, log_level => 'warn'});
my $n = 0;

sub hold_best { return $worker->request(++$n, POST => '/v1/performances/1/holds', {best => {quantity => 1}}) }

# Seconds until an answer.
sub median { return (sort { $a <=> $b } map { $_->{seconds} } @_)[$#_ / 2] }

is http($worker->target, @{hold_best()})->{status}, 201, 'it sells';

subtest 'the database stands still, and 300 ask' => sub {
    kill STOP => $db->pid;
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) { sleep 1.5; kill CONT => $db->pid; POSIX::_exit(0) }
    my @requests = map { hold_best() } 1 .. 300;
    my $told = http_many($worker->target, \@requests, concurrency => 300);
    waitpid $pid, 0;
    my @shed = grep { $_->{status} == 503 } @$told;
    my @made = grep { $_->{status} == 201 } @$told;
    is @shed + @made, 300, 'held, or refused for now';
    cmp_ok scalar(@made), '>=', 40, 'what fits into the queue is done';
    cmp_ok scalar(@shed), '>', 0, 'what does not is not';
    is_deeply [grep { !$_->{headers}{'retry-after'} } @shed], [], 'the others are told when to try again';
    cmp_ok median(@shed), '<', median(@made), 'and long before others get what they wait for';
    is $worker->metric('shed_total'), scalar @shed, 'which is counted';

    my $again = http_many($worker->target, [grep { $_ } map { $told->[$_]{status} == 503 ? $requests[$_] : () } 0 .. 299],
                          concurrency => 20);
    is_deeply [grep { $_->{status} != 201 } @$again], [], 'with the same keys, later, they get it';
};

subtest 'reads are refused, too, when too many wait for a connection' => sub {
    my $hold = http($worker->target, @{hold_best()});
    kill STOP => $db->pid;
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) { sleep 1.5; kill CONT => $db->pid; POSIX::_exit(0) }
    my $told = http_many($worker->target, [map { $worker->request($n, GET => "/v1/holds/$hold->{json}{hold}") } 1 .. 200], concurrency => 200);
    waitpid $pid, 0;
    my %n;
    $n{$_->{status}}++ for @$told;
    is_deeply [sort keys %n], [200, 503], 'answered, or refused for now';
    is http($worker->target, GET => '/v1/performances/1/seats', [$worker->headers])->{status}, 200, 'the map needs no database';
};

subtest 'slow and half-open clients' => sub {
    my ($path) = $worker->target =~ /^unix:(.*)/;
    my %headers = $worker->headers(number => 7);
    my $head = "POST /v1/performances/1/holds HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: slow\r\n"
        . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers);
    my @slow;
    for my $i (1 .. 300) {
        my $socket = IO::Socket::UNIX->new(Peer => $path) or last;
        # Nothing, half a head, or half a body.
        syswrite $socket, ['', substr($head, 0, 50), "${head}Content-Length: 100\r\n\r\n{\"best\":"]->[$i % 3];
        push @slow, $socket;
    }
    is scalar(@slow), 300, 'three hundred of them are connected';
    my $told = http_many($worker->target, [map { hold_best() } 1 .. 200], concurrency => 20);
    is_deeply [grep { $_->{status} != 201 } @$told], [], 'the others are served as ever';
    for my $byte (1 .. 5) {
        syswrite $_, ' ' for grep { $_->connected } @slow;
    }
    is http($worker->target, @{hold_best()})->{status}, 201, 'also while they send byte by byte';
    close $_ for @slow;
    my $count = $db->value("SELECT COUNT(*) FROM hold WHERE owner LIKE '%-7'");
    is $count, 1, 'what was never sent as a whole has no effect';
};

$worker->stop;
is_deeply [$worker->problems], [], 'it stops as it should';
is $db->broken, '', 'the invariants hold';

done_testing;
