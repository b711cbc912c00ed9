# L1: no number twice.  L4: nobody present is overtaken.  L5: a token keeps its
# number.  L6: while nobody returns, a position never rises.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $node  = line_node($redis, 'slots 10; session 60s; claim 10s; liveness 20s;');
my $late  = line_node($redis, 'slots 10; session 60s; claim 10s; liveness 20s;', name => 'b');

my @crowd = crowd($node, 300);
is_deeply([numbers(@crowd)], [1 .. 300], 'L1: 300 joins at once get 300 numbers');
is(scalar(grep { $_->{state} eq 'admitted' } @crowd), 10, 'ten are admitted without a waiting page');
is_deeply([numbers(grep { $_->{state} eq 'admitted' } @crowd)], [1 .. 10], 'the first ten');

my @waiting = grep { $_->{state} eq 'waiting' } @crowd;
my @inside  = grep { $_->{state} eq 'admitted' } @crowd;

sleep 0.4;
poll_all(\@waiting);
is_deeply([map { $_->{position} } @waiting], [1 .. 290], 'positions are ranks');
is_deeply([map { $_->{ahead} } @waiting], [0 .. 289], 'ahead is one less');
is_deeply([map { $_->{waiting} } @waiting], [(290) x 290], 'everybody sees the same length');

# Others join at another node meanwhile: nobody's position may rise, and the
# newcomers stand behind.
my %number = map { $_ => $_->{number} } @waiting;
my ($rises, $overtaken, $changed, $rounds) = (0, 0, 0, 0);
my @later;
while (@waiting > 200 && $rounds++ < 40) {
    leave_all([splice @inside, 0, 5]);
    push @later, crowd($late, 3);
    my %before = map { $_ => $_->{position} } @waiting, @later;
    sleep 0.12;
    poll_all([@waiting, @later]);
    for my $visitor (@waiting, @later) {
        $changed++ if $number{$visitor} && $visitor->{number} != $number{$visitor};
        next if $visitor->{state} ne 'waiting';
        $rises++ if defined $before{$visitor} && $visitor->{position} > $before{$visitor};
    }
    my @called = grep { $_->{state} eq 'called' } @waiting;
    post_all(\@called) if @called;
    my @admitted = grep { $_->{state} eq 'admitted' } @waiting;
    push @inside, @admitted;
    @waiting = grep { $_->{state} ne 'admitted' } @waiting;
    if (@admitted && @waiting) {
        my ($highest) = sort { $b <=> $a } numbers(@admitted);
        poll_all([@waiting]);
        $overtaken += grep { $_->{state} eq 'waiting' && $_->{number} < $highest } @waiting;
    }
    $overtaken += grep { $_->{state} ne 'waiting' } @later;
}
cmp_ok(@waiting, '<=', 200, "the line moves ($rounds rounds)");
is($rises, 0, 'L6: no position ever rose');
is($overtaken, 0, 'L4: nobody was overtaken');
is($changed, 0, 'L5: no token changed its number');
my %seen;
$seen{$_}++ for numbers(@crowd, @later);
is((grep { $_ > 1 } values %seen), 0, 'L1: no number was given twice by two nodes');

# Joins that arrive while one is under way travel together in the next: with
# Redis at a stand, each process has one under way and the others gather.
my $before = $redis->commandstats->{evalsha};
kill STOP => $redis->pid;
my $pid = fork() // die "fork: $!";
if (!$pid) { sleep 0.15; kill CONT => $redis->pid; POSIX::_exit(0); }
my @gathered = crowd($node, 100, concurrency => 100);
waitpid $pid, 0;
is(scalar(grep { $_->{state} eq 'waiting' } @gathered), 100, 'a hundred joins while Redis stands still are all served');
cmp_ok($redis->commandstats->{evalsha} - $before, '<', 50, 'by far fewer scripts');

# One who leaves is no longer counted.
my $leaver = shift @waiting;
my $next   = $waiting[0];
my ($gone) = leave_all([$leaver]);
is($gone->{status}, 204, 'leaving is answered with 204');
eventually { poll_all([$next]); $next->{state} ne 'waiting' || $next->{position} == 1 } 2,
    'the one behind moves up';

done_testing;
