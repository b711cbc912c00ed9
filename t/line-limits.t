# L2: sessions and outstanding calls never exceed the slots, over all nodes.
# L3: neither calls nor admissions in any window exceed the rate.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

# Two nodes, three slots, two hundred visitors.
{
    my $redis = Ticket::Redis->new(dir => temp_dir());
    my $room  = 'slots 3; session 30s; claim 5s; liveness 30s;';
    my @node  = map { line_node($redis, $room, name => $_) } qw(a b);
    my @crowd = map { crowd($node[$_ % 2], 1) } 1 .. 200;
    my (@inside, @admitted);
    my ($most, $overtaken) = (0, 0);
    my $deadline = time + 60;
    my @waiting = @crowd;
    while (@waiting && time < $deadline) {
        poll_all(\@waiting);
        my @called = grep { $_->{state} eq 'called' } @waiting;
        post_all(\@called) if @called;
        my @in = grep { $_->{state} eq 'admitted' } @waiting;
        @waiting = grep { $_->{state} ne 'admitted' } @waiting;
        push @admitted, numbers(@in);
        push @inside, @in;

        # A lower number may learn of its call one exchange later, not more.
        my ($highest) = sort { $b <=> $a } numbers(@in);
        my @lower = grep { $_->{state} eq 'waiting' && $_->{number} < ($highest // 0) } @waiting;
        if (@lower) {
            sleep 0.3;
            poll_all(\@lower);
            $overtaken += grep { $_->{state} eq 'waiting' } @lower;
        }
        my $now = occupied($redis);
        $most = $now if $now > $most;
        $most = @inside if @inside > $most;
        my @gone = splice @inside, 0, 1 + int rand 3;
        leave_all(\@gone) if @gone;
        $now = occupied($redis);
        $most = $now if $now > $most;
        sleep 0.03;
    }
    is(scalar @admitted, 200, 'all of 200 were admitted');
    is($most, 3, 'L2: never more than three sessions and calls over two nodes');
    is($overtaken, 0, 'L4: nobody was overtaken');
    is(scalar(keys %{{map { $_ => 1 } @admitted}}), 200, 'L1: 200 different numbers');
}

# Repeating a claim from two sides at once takes one slot only.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'again');
    my $node  = line_node($redis, 'slots 2; session 30s; claim 5s; liveness 30s;', name => 'c');
    my @crowd = crowd($node, 4);
    leave_all([@crowd[0, 1]]);
    eventually { poll_all([$crowd[2]]); $crowd[2]{state} eq 'called' } 3, 'called';
    my $cookies = $crowd[2]{jar}->header;
    my @same = map { ['POST', '/queue', {Cookie => $cookies}] } 1 .. 40;
    my @answers = $node->http_many(\@same, concurrency => 40);
    @answers = @{$answers[0]} if ref $answers[0] eq 'ARRAY';
    is((grep { $_->{json}{state} eq 'admitted' } @answers), 40, 'forty claims at once are all answered');
    my %sessions = map { $_->{json}{session} => 1 } @answers;
    is(keys %sessions, 1, 'L2: with one session');
    cmp_ok(occupied($redis), '<=', 2, 'L2: one slot');
}

# A rate, and visitors who claim late and all at once.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'rate');
    my $node  = line_node($redis, 'rate 10 1s; session 60s; claim 20s; liveness 30s;', name => 'd');
    my @crowd = crowd($node, 80);
    my $epoch = $redis->cmd('HGET', 'ticket:{show}', 'epoch');
    my %called_at;

    # When those in line were first called, by Redis's clock.
    my $note_calls = sub {
        my %ends = @{$redis->cmd('ZRANGE', "ticket:{show}:$epoch:calls", 0, -1, 'WITHSCORES')};
        $called_at{$_} //= $ends{$_} - 20_000 for keys %ends;
    };
    my @waiting = grep { $_->{state} ne 'admitted' } @crowd;
    my $start = time;
    while (time < $start + 3.5) {
        poll_all(\@waiting);
        $note_calls->();
        sleep 0.02;
    }
    while (@waiting && time < $start + 20) {
        poll_all(\@waiting);
        $note_calls->();
        my @called = grep { $_->{state} eq 'called' } @waiting;
        post_all(\@called) if @called;
        @waiting = grep { $_->{state} ne 'admitted' } @waiting;
        sleep 0.02;
    }
    is(scalar @waiting, 0, 'everybody was admitted');
    my %begun = @{$redis->cmd('ZRANGE', "ticket:{show}:$epoch:begun", 0, -1, 'WITHSCORES')};
    is(scalar keys %begun, 80, 'with a session');

    # Who was admitted on arrival was called at that moment.
    $called_at{$_} //= $begun{$_} for keys %begun;
    my $most = sub {
        my ($times, $window) = @_;
        my @t = sort { $a <=> $b } @$times;
        my ($max, $from) = (0, 0);
        for my $to (0 .. $#t) {
            $from++ while $t[$to] - $t[$from] >= $window;
            $max = $to - $from + 1 if $to - $from + 1 > $max;
        }
        return $max;
    };
    cmp_ok($most->([values %called_at], 1000), '<=', 10, 'L3: never more than 10 calls in a second');
    cmp_ok($most->([values %begun], 1000), '<=', 10, 'L3: never more than 10 admissions, however late the claims');
    cmp_ok($most->([values %called_at], 3000), '>=', 20, 'and the rate is used');
}

done_testing;
