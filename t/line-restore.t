# What one node knows and Redis does not: numbers, sessions, whole lines and
# calls are not lost with a Redis that is back empty, or at what it held some
# time ago.

use lib 't/lib';
use Ticket::Test;
use Ticket::Admin;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $room = 'slots 4; session 10s; claim 5s; liveness 30s;';

sub settled {
    my ($visitors) = @_;
    poll_all($visitors);
    return !grep { ($visitors->[$_]{position} // -1) != $_ + 1 } 0 .. $#$visitors;
}

# A number that only the other node knows of is not given a second time,
# although that node is silent when the first one finds Redis emptied, or back
# at what it held some time ago.
for my $how (qw(emptied stale)) {
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => "redis-$how");
    my @node  = map { line_node($redis, $room, name => "$how-$_") } qw(a b);
    my @first = (crowd($node[0], 3), crowd($node[1], 3));
    poll_all(\@first);
    sleep 0.4;
    $redis->cmd('SAVE');
    my @a = $node[0]->worker_pids;
    kill STOP => @a;
    my @unknown = crowd($node[1], 20);
    my @b = $node[1]->worker_pids;
    kill STOP => @b;
    $redis->kill9;
    $redis->restart(empty => $how eq 'emptied' ? 1 : 0);
    kill CONT => @a;
    my $new;
    eventually { ($new) = crowd($node[0], 1); $new->{number} } 12, "$how: a join succeeds again";
    cmp_ok($new->{number}, '>', $unknown[-1]{number}, "$how: L1: above what only the other node has given");
    kill CONT => @b;
    eventually { poll_all([@first[4, 5], @unknown, $new]); ($unknown[0]{position} // 0) == 3 && $new->{position} == 23 } 8,
        "$how: L4: and behind those";
    $_->stop for @node;
    $redis->stop;
}

# Sessions that Redis has forgotten, because it is back at what it held some
# time ago, keep their slots.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'redis-back');
    my $node  = line_node($redis, $room, name => 'back');
    my @early = crowd($node, 1);
    leave_all(\@early);
    $redis->cmd('SAVE');
    my @crowd = crowd($node, 7);
    my @waiting = @crowd[4 .. 6];
    is($waiting[0]{state}, 'waiting', 'back: four inside, three wait');
    sleep 0.3;
    $redis->kill9;
    $redis->restart;
    my ($called, $until) = (0, time + 5);
    while (time < $until) {
        poll_all(\@waiting);
        $called += grep { $_->{state} ne 'waiting' } @waiting;
        sleep 0.1;
    }
    is($called, 0, 'back: L2: nobody is called into their slots');
    eventually { poll_all(\@waiting); !grep { $_->{state} ne 'called' } @waiting } 14, 'back: until their time is over';
}

# A call waits for as long as Redis is away.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'redis-calls', aof => 1,
        options => ['--appendfsync', 'always']);
    my $node  = line_node($redis, 'slots 1; session 60s; claim 3s; liveness 30s;', name => 'calls');
    my ($in, $first, $second) = crowd($node, 3);
    leave_all([$in]);
    eventually { poll_all([$first]); $first->{state} eq 'called' } 3, 'calls: one is called';
    $redis->kill9;
    sleep 5;
    $redis->restart;
    eventually { post_all([$first]); $first->{state} ne 'called' } 5, 'calls: and claims when Redis is back';
    is($first->{state}, 'admitted', 'calls: although it was away for longer than the claim time');
    poll_all([$second]);
    is($second->{state}, 'waiting', 'calls: L4: before the next');
}

# The first to speak to an emptied Redis is a newcomer at a node that has
# never heard of this line: it is not begun anew over the heads of those who
# stand in it at the other node.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'redis-unheard');
    my @node  = map { line_node($redis, $room, name => "unheard-$_") } qw(a b);
    my @crowd = crowd($node[0], 10);
    $node[1]->http('POST', '/q?show=other');
    my @waiting = @crowd[4 .. 9];
    poll_all(\@waiting);
    sleep 0.4;
    my @a = $node[0]->worker_pids;
    kill STOP => @a;
    $redis->kill9;
    $redis->restart(empty => 1);
    eventually { $node[1]->http('POST', '/q?show=other')->{status} < 300 } 5, 'unheard: the node is back';
    my $resumer = fork // die "fork: $!\n";
    if (!$resumer) { sleep 1; kill CONT => @a; require POSIX; POSIX::_exit(0) }
    my $answer;
    eventually { $answer = $node[1]->http('POST', '/queue'); $answer->{status} < 300 } 12,
        'unheard: the newcomer gets a number';
    waitpid $resumer, 0;
    cmp_ok($answer->{json}{number}, '>', 10, 'unheard: L1: above those of the line that was');
    is($answer->{json}{state}, 'waiting', 'unheard: L2: and waits');
    eventually { settled(\@waiting) } 8, 'unheard: L4, L5: those who stood in line still do, in order';
}

# A line that is called at a pace, and which nobody polls meanwhile: the nodes
# bring back all whom they know to stand in it.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'redis-paced');
    my $node  = line_node($redis, 'rate 1 30s; session 60s; claim 60s; liveness 60s;', name => 'paced',
                          zone => 'rooms:4m interval=500ms');
    my @waiting = grep { $_->{state} eq 'waiting' } crowd($node, 40);
    poll_all(\@waiting);
    sleep 1;
    $redis->cmd('FLUSHALL');
    eventually {
        my $epoch = $redis->cmd('HGET', 'ticket:{show}', 'epoch') // 0;
        $redis->cmd('BITCOUNT', "ticket:{show}:$epoch:w:0") == @waiting
    } 6, 'paced: all are in line again, without a poll';
}

# Slots that an operator has raised are held back after a loss, too.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'redis-raised');
    my $node  = admin_node($redis, 'slots 1; session 8s; claim 5s; liveness 30s;', name => 'raised');
    my @crowd = crowd($node, 1);
    set($node, {slots => 3});
    push @crowd, crowd($node, 4);
    is((grep { $_->{state} eq 'admitted' } @crowd), 3, 'raised: three are in');
    my @waiting = @crowd[3, 4];
    sleep 0.4;
    $redis->cmd('FLUSHALL');
    my ($called, $until) = (0, time + 5);
    while (time < $until) {
        poll_all(\@waiting);
        $called += grep { $_->{state} ne 'waiting' } @waiting;
        sleep 0.1;
    }
    is($called, 0, 'raised: L2: nobody is called into their slots');
    eventually { poll_all(\@waiting); !grep { $_->{state} ne 'called' } @waiting } 10, 'raised: until their time is over';
}

done_testing;
