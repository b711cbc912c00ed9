# Redis Cluster: rooms on several nodes, slots that move, masters that die.
# Each block is a row of docs/operations.md.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::RedisCluster;
use Ticket::Line;
use Ticket::Ordeal;
use Time::HiRes qw(sleep time);

my $n = 0;

sub cluster {
    my (%args) = @_;
    my $dir = temp_dir() . '/' . ++$n;
    mkdir $dir or die "$dir: $!";
    return Ticket::RedisCluster->new(dir => $dir, %args);
}

# A line at two nodes in the instance show:VALUE, of which the cluster node
# with this index has the slot.
sub line_on {
    my ($cluster, $owner, @node) = @_;
    my ($value) = grep { ($cluster->owner("ticket:{show:$_}") // -1) == $owner } 1 .. 100;
    my $room = "show:$value";
    my $redis = sub { my $i = $cluster->owner("ticket:{$room}"); return defined $i ? $cluster->node($i) : undef };
    return Ticket::Ordeal->new(nodes => \@node, redis => $redis, path => "/q?show=$value",
        site => "/s?show=$value", room => $room);
}

sub nodes { my ($where) = @_; return map { Ticket::Ordeal::node("cluster $where timeout=500ms", name => "$_$n") } qw(a b) }

subtest 'rooms on all nodes, a seed dead' => sub {
    my $cluster = cluster();
    my $dead = '127.0.0.1:' . Ticket::Redis::free_port();
    my @node = nodes("$dead " . $cluster->seeds(0));
    my @line = map { line_on($cluster, $_, @node) } 0 .. 2;
    is($_->join_at($node[0])->{status}, 201, 'a room on each node') for @line;
    $_->cmd('SCRIPT', 'FLUSH') for $cluster->nodes;
    is($_->join_at($node[1])->{status}, 201, 'also after the scripts were forgotten') for @line;
    $node[0]->reload;
    is($_->join_at($node[0])->{status}, 201, 'and new processes find them at once') for @line;
    $_->recovers('cluster') for @line;
    $_->verdict('cluster') for @line;
    unlike($node[0]->error_log, qr/MOVED|NOSCRIPT/, 'what a node does not have is no error');
};

subtest 'slot moved' => sub {
    my $cluster = cluster();
    my @node = nodes($cluster->seeds(0 .. 2));
    my $line = line_on($cluster, 0, @node);
    my $key  = "ticket:{$line->{room}}";
    my $slot = $cluster->slot($key);
    $cluster->begin_move($slot, 0, 1);
    $line->steps(1);

    # The state has moved, and what says who is inside has not.
    is_deeply([$cluster->move_keys($slot, 0, 1, sub { $_[0] eq $key })], [$key], 'slot: a part is on its way');
    $line->refuses($_, 'slot on its way') for @node;
    $line->watch;
    $line->enters('slot on its way: the session is where it was');
    $line->steps(3);
    $cluster->move_keys($slot, 0, 1, sub { 1 });
    $cluster->node(1)->cmd('CONFIG', 'RESETSTAT');
    $line->enters('slot on its way: the session has moved');
    is($cluster->node(1)->commandstats->{asking}, 1, 'slot: which ASK tells, and is followed');
    $line->steps(1);
    $cluster->end_move($slot, 1);
    $line->recovers('slot moved');
    is($cluster->owner($key), 1, 'slot: the other node serves it');
    $line->verdict('slot moved');
};

subtest 'cluster master killed' => sub {
    my $cluster = cluster(replicas => 1);
    my @node = nodes($cluster->seeds(0 .. 2));
    my ($line, $other) = map { line_on($cluster, $_, @node) } 0, 1;
    $cluster->node(0)->kill9;
    $line->refuses($_, 'cluster') for @node;
    $line->enters('cluster');
    my ($most, $until) = (0, time + 1);
    $other->steps(0.5);
    eventually { $line->step; $other->step; ($cluster->owner("ticket:{$line->{room}}") // 0) == 3 } 20,
        'its replica takes over';
    $line->recovers('cluster');
    $other->recovers('cluster: other room');
    $cluster->node(0)->restart;
    $line->steps(1);
    $line->recovers('cluster: the old master back');
    $line->verdict('cluster');
    $other->verdict('cluster: other room');
};

subtest 'cluster node hangs' => sub {
    my $cluster = cluster(timeout => 60_000);
    my @node = nodes($cluster->seeds(0 .. 2));
    my ($line, $other) = map { line_on($cluster, $_, @node) } 0, 1;
    kill STOP => $cluster->node(0)->pid;
    $line->{redis}  = sub { undef };
    $other->{redis} = sub { $cluster->node(1) };
    $line->refuses($_, 'node hangs') for @node;
    $line->enters('node hangs');
    $line->steps(1);
    my ($oldest, $until) = (0, time + 5);
    while (time < $until) {
        $line->step;
        $other->step;
        for ($other->line) { $oldest = $_->{updated_ms} if $_->{updated_ms} > $oldest }
    }
    cmp_ok($oldest, '<', 1500, "the other nodes' rooms are exchanged meanwhile");
    is($other->join_at($node[0])->{status}, 201, 'and have newcomers');
    kill CONT => $cluster->node(0)->pid;
    $line->{redis} = sub { $cluster->node(0) };
    $_->recovers('node hangs') for $line, $other;
    $_->verdict('node hangs') for $line, $other;
};

done_testing;
