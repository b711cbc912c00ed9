# What befalls a node of nginx, not Redis.  Each block is a row of
# docs/operations.md.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::RedisProxy;
use Ticket::Line;
use Ticket::Ordeal;
use Ticket::Orphan;
use Time::HiRes qw(sleep time);

my $n = 0;

# A Redis, two nodes with a proxy each between them and it, and a line.
sub scene {
    my $dir = temp_dir() . '/' . ++$n;
    mkdir $dir or die "$dir: $!";
    my $redis = Ticket::Redis->new(dir => $dir);
    my @proxy = map { Ticket::RedisProxy->new(dir => $dir, redis => $redis, name => $_) } qw(p q);
    my @node = map {
        Ticket::Ordeal::node('unix:' . $proxy[$_]->socket . ' timeout=500ms', name => qw(a b)[$_] . $n)
    } 0, 1;
    return ($redis, \@proxy, Ticket::Ordeal->new(nodes => \@node, redis => sub { $redis }), @node);
}

subtest 'one node cut off' => sub {
    my ($redis, $proxy, $line, @node) = scene();
    $proxy->[0]->order('hold');
    $line->refuses($node[0], 'cut off');
    $line->enters('cut off');
    my $until = time + 30;
    while (time < $until) {
        $line->step;
        my $got = $line->join_at($node[1]);
        is($got->{status}, 201, 'the other node issues numbers') if $got->{status} != 201 || time > $until - 0.5;
        sleep 0.3;
    }
    $proxy->[0]->order('pass');
    eventually { $line->step; $line->in_order } 10, 'and afterwards both agree on the line';
    $line->recovers('cut off', $node[0]);
    $line->verdict('cut off');
    $redis->stop;
};

subtest 'cut off in turn, Redis restarted between' => sub {
    my ($redis, $proxy, $line, @node) = scene();
    $redis->cmd('SAVE');
    $line->join_at($node[0]) for 1 .. 5;
    $proxy->[0]->order('hold');
    sleep 0.2;
    $redis->kill9;
    $redis->restart;

    # The other node has seen fewer numbers than the silent one has given.
    eventually { $line->step; $line->join_at($node[1])->{status} == 201 } 15, 'in turn: the other node goes on';
    $proxy->[0]->order('pass');
    $line->recovers('in turn', $node[0]);
    eventually { $line->step; $line->in_order } 10, 'in turn: all keep their order';
    $line->verdict('in turn');
    $redis->stop;
};

subtest 'worker killed in an exchange' => sub {
    my ($redis, $proxy, $line, @node) = scene();
    for (1 .. 3) {
        $line->step;

        # Exchanges, joins and claims of this moment are under way for long.
        $proxy->[0]->order('slow', 300);
        $line->step;
        $node[0]->kill_worker9($_) for $node[0]->worker_pids;
        $proxy->[0]->order('pass');
        eventually { $line->step; !grep { ($_->{updated_ms} // 9999) > 500 } $line->line } 10, 'worker: another exchanges';
    }
    $line->enters('worker');
    $line->recovers('worker', $node[0]);
    $line->verdict('worker');
    $redis->stop;
};

subtest 'nginx upgraded' => sub {
    my $dir = temp_dir() . '/' . ++$n;
    mkdir $dir or die "$dir: $!";
    my $redis = Ticket::Redis->new(dir => $dir);
    my $node  = Ticket::Ordeal::node('unix:' . $redis->socket, name => "a$n", start => 0);
    my $old   = Ticket::Orphan->adopt_from($node, 'old master');
    my $line  = Ticket::Ordeal->new(nodes => [$node], redis => sub { $redis });
    my $pid   = $old->pid;
    kill USR2 => $pid;
    my $file = "$node->{dir}/$node->{name}.pid";
    eventually { $line->step; slurp("$file.oldbin") =~ /^$pid$/ && slurp($file) =~ /^[0-9]+$/ } 10,
        'upgrade: a new master runs beside the old';
    my $new = Ticket::Orphan->new(name => 'new master', log => $node->{log}, pid => slurp($file) + 0);
    $line->steps(1);
    is($line->join_at($node)->{status}, 201, 'upgrade: a newcomer gets a place from either');
    kill WINCH => $pid;
    $line->steps(1);
    is($line->join_at($node)->{status}, 201, 'upgrade: and from the new processes alone');
    $old->stop;
    ok($new->alive, 'upgrade: the new master outlives the old one');
    is($line->join_at($node)->{status}, 201, 'upgrade: and goes on alone');
    $line->enters('upgrade');
    $line->recovers('upgrade');
    $line->verdict('upgrade');
    $new->stop;
    $redis->stop;
};

done_testing;
