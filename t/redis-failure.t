# One Redis that fails in every way but its end (t/line-loss.t): each block is
# a row of docs/operations.md.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::RedisProxy;
use Ticket::Line;
use Ticket::Ordeal;
use Time::HiRes qw(sleep time);

my $n = 0;

# A Redis, perhaps behind a proxy, and a line at two nodes.
sub scene {
    my (%args) = @_;
    my $dir   = temp_dir() . '/' . ++$n;
    mkdir $dir or die "$dir: $!";
    my $redis = Ticket::Redis->new(dir => $dir, %{$args{redis} // {}});
    my $proxy = Ticket::RedisProxy->new(dir => $dir, redis => $redis);
    my $timeout = $args{timeout} // '500ms';
    my @nodes = map { Ticket::Ordeal::node('unix:' . $proxy->socket . " timeout=$timeout", name => "$_$n",
        workers => $args{workers} // 2) } qw(a b);
    return ($redis, $proxy, Ticket::Ordeal->new(nodes => \@nodes, redis => sub { $redis }), @nodes);
}

subtest 'unreachable' => sub {
    my ($redis, $proxy, $line, @node) = scene();
    $proxy->order('close');
    sleep 0.1;
    $line->refuses($_, 'unreachable') for @node;
    $line->enters('unreachable');
    $line->steps(3);
    $proxy->order('pass');
    $line->recovers('unreachable');
    $line->verdict('unreachable');
    $redis->stop;
};

subtest 'hanging' => sub {

    # Each process learns it by itself.
    my ($redis, $proxy, $line, @node) = scene(timeout => '2s', workers => 1);
    $proxy->order('hold');
    $line->refuses($_, 'hanging') for @node;
    $line->enters('hanging');
    $line->steps(2.5);
    my ($longest, $until) = (0, time + 5);
    while (time < $until) {
        my $before = time;
        my $got = $line->join_at($node[0]);
        $longest = time - $before if time - $before > $longest;
        $line->note("hanging: $got->{status}") if $got->{status} != 503;
    }
    cmp_ok($longest, '<', 1, 'hanging: and does not wait, once the connection is known to be bad');
    $proxy->order('pass');
    $line->recovers('hanging');
    $line->verdict('hanging');
    $redis->stop;
};

subtest 'slow' => sub {
    my ($redis, $proxy, $line, @node) = scene(timeout => '5s');
    $proxy->order('slow', 2000);
    $line->steps(1);
    is($line->join_at($node[0])->{status}, 201, 'slow: a newcomer waits, and gets a place');
    $line->enters('slow');
    $line->steps(5);
    $proxy->order('pass');
    $line->recovers('slow');
    $line->verdict('slow');
    $redis->stop;
};

subtest 'slower than timeout=' => sub {
    my ($redis, $proxy, $line, @node) = scene(timeout => '500ms');
    $proxy->order('slow', 2000);
    sleep 0.2;
    $line->refuses($_, 'slower') for @node;
    $line->enters('slower');
    $line->steps(5);
    $proxy->order('pass');
    $line->recovers('slower');
    $line->verdict('slower');
    $redis->stop;
};

subtest 'full' => sub {
    my ($redis, $proxy, $line, @node) = scene();
    $redis->cmd('CONFIG', 'SET', 'maxmemory', 1);
    $line->refuses($_, 'full') for @node;
    $line->enters('full');
    $line->steps(3);
    like($node[0]->error_log, qr/Redis failed for room "show": OOM/, 'full: the log says what Redis says');
    $redis->cmd('CONFIG', 'SET', 'maxmemory', 0);
    $line->recovers('full');
    $line->verdict('full');
    $redis->stop;
};

subtest 'read-only' => sub {
    my ($redis, $proxy, $line, @node) = scene(redis => {tcp => 1});
    my $other = Ticket::Redis->new(dir => temp_dir(), name => 'master', tcp => 1);
    $other->stop;
    $redis->cmd('REPLICAOF', '127.0.0.1', $other->port);
    $line->refuses($_, 'read-only') for @node;
    $line->enters('read-only');
    $line->steps(3);
    like($node[0]->error_log, qr/lost Redis/, 'read-only: the connection is given up, for the address may lead elsewhere');
    $redis->cmd('REPLICAOF', 'NO', 'ONE');
    $line->recovers('read-only');
    $line->verdict('read-only');
    $redis->stop;
};

subtest 'loading' => sub {
    my ($redis, $proxy, $line, @node) = scene();
    $proxy->order('say', '-LOADING Redis is loading the dataset in memory');
    sleep 0.2;
    $line->refuses($_, 'loading') for @node;
    $line->enters('loading');
    $line->steps(3);
    $proxy->order('close');
    $proxy->order('pass');
    $line->recovers('loading');
    $line->verdict('loading');
    $redis->stop;
};

subtest 'cut in mid-reply' => sub {
    my ($redis, $proxy, $line, @node) = scene();
    for (1 .. 5) {
        $proxy->order('cut', 6);
        $line->enters('cut') if $_ == 1;
        eventually { $line->step; $line->join_at($node[0]); $proxy->left == 0 } 15, 'six answers are cut';
    }
    $line->recovers('cut');
    $line->verdict('cut');
    $redis->stop;
};

subtest 'scripts forgotten' => sub {
    my ($redis, $proxy, $line, @node) = scene();
    for (1 .. 10) {
        $redis->cmd('SCRIPT', 'FLUSH');
        is($line->join_at($node[$_ % 2])->{status}, 201, 'a newcomer notices nothing');
    }
    $line->enters('scripts');
    $line->recovers('scripts');
    unlike($node[0]->error_log, qr/NOSCRIPT/, 'nor does the log');
    $line->verdict('scripts');
    $redis->stop;
};


done_testing;
