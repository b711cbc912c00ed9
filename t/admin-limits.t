# The limits hold while an operator changes them: L2 (slots), L3 (rate) and L4
# (order), measured in Redis, by its clock.

use lib 't/lib';
use Ticket::Test;
use Ticket::Admin;
use Ticket::Line;
use Ticket::Redis;
use Time::HiRes qw(sleep time);

my $claim = 60_000;

sub nodes {
    my ($name, $settings) = @_;
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => "redis-$name");
    my $room  = "$settings session 60s; claim 60s; liveness 30s;";
    return ($redis, map { admin_node($redis, $room, name => "$name-$_") } 'a', 'b');
}

sub ms { my ($redis) = @_; my ($s, $us) = @{$redis->cmd('TIME')}; return $s * 1000 + int $us / 1000 }

# Those of @times that lie in [from, to).
sub between { my ($from, $to, @times) = @_; return grep { $_ >= $from && $_ < $to } @times }

# Slots raised and lowered while visitors come and go.
{
    my ($redis, @node) = nodes('slots', 'slots 4;');
    my @crowd = map { crowd($node[$_ % 2], 1) } 1 .. 120;
    my (@inside, $above, $used);
    my ($slots, $bound) = (4, 4);
    my $deadline = time + 30;
    my @plan = (8, 2, 6, 1, 10, 3, 5, 2, 9);
    my @waiting = @crowd;
    my $next = time;
    my %reached;
    while (@plan && time < $deadline) {
        poll_all(\@waiting);
        my @called = grep { $_->{state} eq 'called' } @waiting;
        post_all(\@called) if @called;
        push @inside, grep { $_->{state} eq 'admitted' } @waiting;
        @waiting = grep { $_->{state} ne 'admitted' } @waiting;
        my $now = occupied($redis);
        $above++ if $now > $bound;
        $bound = $now > $slots ? $now : $slots;
        $reached{$slots}++ if $now == $slots;
        my @gone = splice @inside, 0, 1 + int rand 2;
        leave_all(\@gone) if @gone;
        push @waiting, crowd($node[rand 2], scalar @gone) if @gone;
        if (time > $next && $reached{$slots}) {
            $slots = shift @plan;
            set($node[rand 2], {slots => $slots});
            $now   = occupied($redis);
            $bound = $now > $slots ? $now : $slots;
            $next  = time + 0.4;
        }
    }
    is($above // 0, 0, 'L2: never above the slots, and never more where they were lowered below');
    is(scalar @plan, 0, 'and all slots are used, each time') or diag "left: @plan; reached: @{[%reached]}";
}

# The rate, changed without a jump.
{
    my ($redis, @node) = nodes('rate', 'rate 10 1s;');
    my @crowd = map { crowd($_, 75) } @node;
    my $took = sub {
        my ($settings, $seconds, $node) = @_;
        set($node[$node], $settings);
        my $from = ms($redis);
        sleep $seconds;
        return $from;
    };
    sleep 1.5;
    my $fast  = $took->({rate => 30}, 2, 0);
    my $slow  = $took->({rate => 5}, 2.5, 1);
    my $again = $took->({rate => 20}, 1.5, 0);
    my $end   = ms($redis);
    my @at    = call_times($redis, $claim);
    cmp_ok(most_in(1000, between(0, $fast, @at)), '<=', 10, 'L3: 10 in a second');
    cmp_ok(most_in(1000, between(0, $slow, @at)), '<=', 30, 'L3: raised to 30: never more, the change included');
    cmp_ok(scalar between($fast + 500, $fast + 1500, @at), '>', 10, 'and more than before');
    cmp_ok(scalar between($fast, $fast + 200, @at), '<=', 12, 'which are spread, from the first on');
    cmp_ok(most_in(1000, between($fast, $again, @at)), '<=', 30, 'L3: lowered to 5: never more than before');
    is(scalar between($slow, $slow + 700, @at), 0, 'nobody is called until what was called before is a second ago');
    cmp_ok(most_in(1000, between($slow, $again, @at)), '<=', 5, 'L3: then 5 in a second');
    cmp_ok(most_in(1000, between($slow, $end, @at)), '<=', 20, 'L3: raised again: 20');
}

# From a rate whose next call is far away.
{
    my ($redis, @node) = nodes('far', 'rate 1 1h;');
    my @crowd = crowd($node[0], 20);
    is((grep { $_->{state} eq 'admitted' } @crowd), 1, 'one in an hour');
    set($node[1], {rate => 50, per_ms => 1000});
    eventually { room($node[0])->{calls_total} > 5 } 5, 'changed to 50 in a second: it goes on at once';
}

# The time of the rate, changed: what was counted counts on.
{
    my ($redis, @node) = nodes('per', 'rate 20 1s;');
    set($node[0], {paused => \1});
    my @crowd = map { crowd($_, 75) } @node;
    is(command($node[0], 'call', count => 100)->{done}, 20, 'twenty at once');
    set($node[1], {per_ms => 500});
    my $from = ms($redis);
    my $done = command($node[0], 'call', count => 100)->{done};
    ok($done == 0 || ms($redis) - $from > 400, 'L3: a shorter time: none of them is forgotten');
    eventually { command($node[0], 'call', count => 100)->{done} == 20 } 5, 'until it has passed';
    set($node[1], {per_ms => 1500});
    $from = ms($redis);
    $done = command($node[0], 'call', count => 100)->{done};
    ok($done == 0 || ms($redis) - $from > 1000, 'L3: a longer time');
    eventually { command($node[0], 'call', count => 100)->{done} == 20 } 8, 'until it has passed';
    cmp_ok(most_in(500, call_times($redis, $claim)), '<=', 20, 'L3: never more than 20 in half a second');
}

# A reset forgets the line, and not how many have just been let in.
{
    my ($redis, @node) = nodes('reset', 'rate 5 6s;');
    set($node[0], {paused => \1});
    my @crowd = crowd($node[0], 10);
    is(command($node[1], 'call', count => 10)->{done}, 5, 'all of the rate is used');
    my $called = ms($redis);
    command($node[0], 'reset');
    eventually { !room($node[0])->{settling} } 5, 'after a reset';
    @crowd = crowd($node[1], 10);
    set($node[0], {paused => \0});
    eventually { room($node[0])->{calls_total} > 0 } 10, 'it goes on';
    cmp_ok(ms($redis) - $called, '>', 5900, 'L3: when the rate allows');
}

# Everybody through, and back.
{
    my ($redis, @node) = nodes('through', 'rate 5 1s;');
    my @crowd = map { crowd($_, 30) } @node;
    set($node[0], {mode => 'passthrough'});
    eventually { room($node[1])->{in_line} == 0 } 5, 'passthrough: sixty are called';
    set($node[0], {per_ms => 100});
    my $until = time + 1;
    crowd($node[rand 2], 1) while time < $until;
    my $epoch = room($node[0])->{epoch};
    cmp_ok($redis->cmd('HLEN', "ticket:{show}:$epoch:rc"), '<=', 110, 'what lies behind is not kept');
    set($node[0], {per_ms => undef});
    set($node[1], {mode => undef});
    my $back = ms($redis);
    set($node[1], {queue_all => \1});
    my @new = map { crowd($_, 10) } @node;
    eventually { room($node[0])->{in_line} < 17 } 6, 'back: it goes on soon';
    sleep 1;
    my @at = between($back, $back + 60_000, call_times($redis, $claim));
    cmp_ok(most_in(1000, @at), '<=', 5, 'L3: at the rate');
    cmp_ok(scalar between($back, $back + 500, @at), '<=', 5, 'L3: without a jump');
}

# All of it at random, under load.
{
    my ($redis, @node) = nodes('random', 'slots 10; rate 20 1s;');
    my $look = <<'LUA';
        local t = redis.call('TIME')
        local line = redis.call('HMGET', KEYS[1], 'epoch', 'total', 'called')
        local root = KEYS[1] .. ':' .. line[1]
        return { t[1] * 1000 + math.floor(t[2] / 1000), tonumber(line[2]), tonumber(line[3]),
                 redis.call('ZCARD', root .. ':sess') + redis.call('ZCARD', root .. ':calls'),
                 redis.call('BITPOS', root .. ':w:0', 1) }
LUA
    my @waiting = map { crowd($_, 30) } @node;
    my (@inside, @sample, $overtaken, $above);
    my ($slots, $bound, $rate, $set) = (10, 10, 20, 0);
    my @rates = ([ms($redis) - 60_000, 20]);
    my $sample = sub {
        my ($ms, $total, $called, $occupied, $first) = @{$redis->cmd('EVAL', $look, 1, 'ticket:{show}')};
        push @sample, [$ms, $total];
        $overtaken++ if $first > 0 && $first <= $called;
        $above++ if $occupied > $bound;
        $bound = $occupied > $slots ? $occupied : $slots;
        return $occupied;
    };
    srand 7;
    my $until = time + 10;
    my ($admitted, $calls) = (0, 0);
    while (time < $until) {
        my @new = map { {jar => Ticket::Http::Jar->new, node => $node[rand 2]} } 1 .. 2;
        post_all(\@new);
        push @waiting, grep { $_->{number} } @new; # the others were refused
        poll_all(\@waiting);
        $sample->();
        my @called = grep { $_->{state} eq 'called' } @waiting;
        post_all(\@called) if @called;
        $sample->();
        push @inside, my @in = grep { $_->{state} eq 'admitted' } @waiting;
        $admitted += @in;
        @waiting = grep { $_->{state} ne 'admitted' } @waiting;
        my @gone = splice @inside, 0, 1 + int rand 4;
        leave_all(\@gone) if @gone;
        $sample->();
        my %settings;
        if (rand() < 0.5) { $settings{slots} = $slots = 1 + int rand 20 }
        if (rand() < 0.5) { $settings{rate} = $rate = 5 + int rand 40 }
        if (rand() < 0.3) { $settings{paused} = rand() < 0.3 ? \1 : \0 }
        if (rand() < 0.3) { $settings{queue_all} = rand() < 0.5 ? \1 : \0 }
        if (rand() < 0.3) { $settings{mode} = rand() < 0.2 ? 'reject' : undef }
        if (%settings) {
            push @rates, [ms($redis), $rate];
            $bound = $slots if $bound < $slots;
            set($node[rand 2], \%settings);
            $set++;
            $rates[-1][2] = ms($redis);
            $sample->();
        }
        if (rand() < 0.3) { command($node[rand 2], 'call', count => 1 + int rand 5); $calls++; $sample->() }
        sleep 0.02;
    }
    set($node[0], {paused => undef, mode => undef, queue_all => undef, slots => undef, rate => undef});

    # The highest rate that held at some time of each second, against what was called in it.
    my $more = 0;
    my $from = 0;
    for my $to (0 .. $#sample) {
        $from++ while $sample[$to][0] - $sample[$from][0] >= 1000;
        my $limit = 0;
        for my $i (0 .. $#rates) {
            my $ends = $i < $#rates ? $rates[$i + 1][2] // $rates[$i + 1][0] : 9e15;
            next if $ends < $sample[$from][0] || $rates[$i][0] > $sample[$to][0];
            $limit = $rates[$i][1] if $rates[$i][1] > $limit;
        }
        $more++ if $sample[$to][1] - $sample[$from][1] > $limit;
    }
    cmp_ok($set, '>', 15, "$set changes and $calls commands at random");
    cmp_ok($admitted, '>', 20, "$admitted visitors admitted meanwhile");
    is($above // 0, 0, 'L2: never above the slots, but where they were lowered');
    is($more, 0, 'L3: never more calls in a second than the highest rate of that second');
    is($overtaken // 0, 0, 'L4: nobody is called before one with a lower number');
    eventually {
        poll_all(\@waiting);
        my @called = grep { $_->{state} eq 'called' } @waiting;
        post_all(\@called) if @called;
        leave_all([grep { $_->{state} eq 'admitted' } @waiting]);
        @waiting = grep { $_->{state} ne 'admitted' } @waiting;
        !@waiting;
    } 60, 'and everybody comes in, in the end';
}

done_testing;
