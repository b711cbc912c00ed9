# Calls come evenly: no tick calls more than its share of the rate, whatever
# the number of nodes, and nobody is called in a burst when the room has stood
# idle or the rate has been raised.

use lib 't/lib';
use Ticket::Test;
use Ticket::Http;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

# What each script run called, watched from outside: [ms since the run before,
# calls], as the state tells them together.
sub watch_calls {
    my ($redis, $seconds) = @_;
    my (@ticks, @before);
    my $end = time + $seconds;
    while (time < $end) {
        my @now = @{$redis->cmd('HMGET', 'ticket:{show}', 'last', 'total')};
        if (@before && $now[1] != $before[1]) {
            push @ticks, [$now[0] - $before[0], $now[1] - $before[1]];
        }
        @before = @now if !@before || $now[1] != $before[1];
        sleep 0.005;
    }
    return @ticks;
}

sub most_over_share {
    my ($rate_per_ms, @ticks) = @_;
    my $most = 0;
    for my $tick (@ticks) {
        my $over = $tick->[1] - $rate_per_ms * $tick->[0];
        $most = $over if $over > $most;
    }
    return $most;
}

# 150 a second from two nodes.  Before the first of two runs the room was idle.
{
    my $redis = Ticket::Redis->new(dir => temp_dir());
    my $room  = 'rate 450 3s; session 60s; claim 60s; liveness 60s;';
    my @node  = map { line_node($redis, $room, name => $_, zone => "rooms:4m interval=500ms") }
        qw(a b);
    my @crowd = crowd($node[0], 900);
    my @at_once = grep { $_->{state} eq 'admitted' } @crowd;
    cmp_ok(scalar @at_once, '<', 300, 'newcomers to an idle room are not admitted in one burst');
    my @ticks = watch_calls($redis, 4);
    my $calls = 0;
    $calls += $_->[1] for @ticks;
    cmp_ok(scalar @ticks, '>=', 20, 'calls are made many times a second, between exchanges too');
    cmp_ok(most_over_share(0.15, @ticks), '<=', 31,
           'no tick calls more than its share and what a late one makes up for');
    cmp_ok($calls, '>=', 350, 'the rate is used');
    cmp_ok($calls, '<=', 640, 'and not exceeded');
}

# Slow rates have a call when it is due, not in lumps.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'slow');
    my $node  = line_node($redis, 'rate 10 5s; session 60s; claim 60s; liveness 60s;', name => 'c');
    my @crowd = crowd($node, 20);
    cmp_ok((grep { $_->{state} eq 'admitted' } @crowd), '<=', 3, 'one after the other at the start');
    my @ticks = watch_calls($redis, 3);
    is((grep { $_->[1] > 1 } @ticks), 0, 'one call at a time');
    cmp_ok(scalar @ticks, '>=', 4, 'two calls in a second');
}

# Thousands who may all be called are called in parts, between which Redis
# serves others, and without waiting for the next exchange.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'many');
    my $node  = line_node($redis, 'slots 100000; session 60s; claim 60s; liveness 60s;', name => 'd',
                          zone => 'rooms:4m interval=500ms');
    $redis->cmd('SET', 'ticket:{show}:stock', 0);
    Ticket::Http->new($node->target)->many([({method => 'POST', path => '/queue'}) x 5000], concurrency => 100);
    $redis->cmd('DEL', 'ticket:{show}:stock');
    my @ticks = watch_calls($redis, 2);
    my $most = 0;
    for my $tick (@ticks) { $most = $tick->[1] if $tick->[1] > $most }
    is($redis->cmd('HGET', 'ticket:{show}', 'total'), 5000, 'all are called');
    cmp_ok(scalar @ticks, '>=', 1, 'not all at once');
    cmp_ok($most, '<=', 2000, 'never more than 2000 by one script');
}

done_testing;
