# A history of what 64 clients did to a few seats through two workers, and was
# it possible?  Because every write of a seat has a version, it can be checked
# without guessing: the versions of each seat form one chain, each written by
# one operation that was acknowledged, and in the order of real time.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use JSON::PP ();
use POSIX ();
use Ticket::Http;
use Ticket::MariaDB;
use Ticket::Redis;
use Ticket::Worker;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant {CLIENTS => 64, SECONDS => 6, SEATS => 24};

my $db = Ticket::MariaDB->new(dir => temp_dir());
my $redis = Ticket::Redis->new(dir => temp_dir());
$db->add_performance(1, 'hall', 3_600_000, map { "A-$_" } 1 .. SEATS);
my @workers = map { worker($_) } 0, 1;

# Both verify the same passes.
sub worker {
    my ($n) = @_;
    return Ticket::Worker->new(dir => temp_dir(), db => $db, name => "worker$n",
        $n ? (token_keys => temp_dir() . '/worker0.keys') : (),
        redis => {socket => $redis->socket}, config => {log_level => 'warn'});
}

my @history = map { read_history($_) } map { client($_) } 1 .. CLIENTS;

# A client in a process of its own: holds, extends and gives back, one after
# the other, and writes down what it did and was told.
sub client {
    my ($number) = @_;
    my $file = temp_dir() . "/history.$number";
    my $pid = fork() // die "fork: $!\n";
    return [$pid, $file] if $pid;

    srand $number;
    my $worker = $workers[$number % 2];
    $worker->{secret} = $workers[0]{secret};
    my $client = Ticket::Http->new($worker->target);
    open my $out, '>', $file or POSIX::_exit(1);
    my $end = clock_gettime(CLOCK_MONOTONIC) + SECONDS;
    my %hold;    # the one it has: id, and versions by seat
    my %seen;    # versions it was told in refusals
    while ((my $start = clock_gettime(CLOCK_MONOTONIC)) < $end) {
        my ($op, $request) = !%hold ? ('hold', wish($worker, $number, \%seen))
            : $hold{extended} || rand() < 0.6 ? ('release', $worker->request($number, DELETE => "/v1/holds/$hold{id}"))
            : ('extend', $worker->request($number, POST => "/v1/holds/$hold{id}/extend", {}));
        my $answer = $client->request($request);
        my %event = (client => $number, op => $op, start => $start, end => clock_gettime(CLOCK_MONOTONIC),
                     status => $answer->{status}, wrote => {});
        if ($op eq 'hold' && $answer->{status} == 201) {
            $event{wrote} = versions($answer->{json}{seats});
            %hold = (id => $answer->{json}{hold}, seats => $event{wrote});
        } elsif ($op eq 'extend' && $answer->{status} == 200) {
            $event{wrote} = versions($answer->{json}{seats});
            @hold{qw(extended seats)} = (1, $event{wrote});
        } elsif ($op eq 'release' && $answer->{status} == 204) {
            $event{wrote} = {map { $_ => $hold{seats}{$_} + 1 } keys %{$hold{seats}}};
            %hold = ();
        }
        %seen = map { $_->{seat} => $_->{version} } @{$answer->{json}{conflicts} // []};
        print {$out} JSON::PP::encode_json(\%event), "\n";
    }
    close $out;
    POSIX::_exit(0);
}

# One to three seats; those it was refused at a time, sometimes by version.
sub wish {
    my ($worker, $number, $seen) = @_;
    my %names = map { 'A-' . (1 + int rand SEATS) => 1 } 1 .. 1 + int rand 3;
    return $worker->hold($number, map {
        defined $seen->{$_} && rand() < 0.5 ? {seat => $_, version => $seen->{$_}} : $_
    } sort keys %names);
}

sub versions {
    my ($seats) = @_;
    return {map { $_->{seat} => $_->{version} } @$seats};
}

sub read_history {
    my ($client) = @_;
    my ($pid, $file) = @$client;
    waitpid $pid, 0;
    is $?, 0, 'the client ended well' if $?;
    return map { JSON::PP::decode_json($_) } split /\n/, slurp($file);
}

my %status;
$status{"$_->{op} $_->{status}"}++ for @history;
diag 'operations: ' . join ', ', map { "$_: $status{$_}" } sort keys %status if $ENV{TICKET_VERBOSE};
is_deeply [grep { !/^(?:hold (?:201|409)|extend 200|release 204)$/ } sort keys %status], [],
    'every operation had an outcome that it may have';
cmp_ok $status{'hold 201'} // 0, '>', 200, 'seats were held';
cmp_ok $status{'hold 409'} // 0, '>', 200, 'and fought over';
cmp_ok $status{'extend 200'} // 0, '>', 20, 'holds were extended';

# Seat → version → the operation that wrote it.
my (%writer, @twice);
for my $event (@history) {
    while (my ($seat, $version) = each %{$event->{wrote}}) {
        push @twice, "$seat version $version" if $writer{$seat}{$version};
        $writer{$seat}{$version} = $event;
    }
}
is_deeply \@twice, [], 'S2: no version of a seat was written by two operations';

my %now = map { @$_ } @{$db->rows('SELECT seat, version FROM seat_now')};
my (@gaps, @backwards);
for my $seat (sort keys %now) {
    my $chain = $writer{$seat} // {};
    my @missing = grep { !$chain->{$_} } 1 .. $now{$seat};
    push @gaps, "$seat: nobody wrote @missing" if @missing;
    push @gaps, "$seat: " . keys(%$chain) . " writes, version $now{$seat}" if keys %$chain != $now{$seat};
    for my $version (2 .. $now{$seat}) {
        my ($before, $after) = @$chain{$version - 1, $version};
        push @backwards, "$seat version $version was done before " . ($version - 1) . ' had begun'
            if $before && $after && $after->{end} < $before->{start};
    }
}
is_deeply \@gaps, [], 'S7: the versions of every seat form one chain of acknowledged writes';
is_deeply \@backwards, [], 'in the order of real time';

# A chain may be in order link by link and still not as a whole: whatever ended
# before another began has the lower version.
my @crossed;
for my $seat (keys %writer) {
    my $latest = 0;    # start of the latest-starting write with a lower version
    for my $version (sort { $a <=> $b } keys %{$writer{$seat}}) {
        my $event = $writer{$seat}{$version};
        push @crossed, "$seat version $version" if $event->{end} < $latest;
        $latest = $event->{start} if $event->{start} > $latest;
    }
}
is_deeply \@crossed, [], 'for every pair of writes of a seat';

is $db->broken, '', 'the invariants hold';

done_testing;
