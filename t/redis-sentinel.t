# Redis behind sentinels: the master is found through them, and when it dies
# or is demoted, its successor is.  Each block is a row of docs/operations.md.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Sentinel;
use Ticket::Line;
use Ticket::Ordeal;
use Time::HiRes qw(sleep time);

my $n = 0;

# A master, a replica, three sentinels, and a line at two nodes.
sub scene {
    my (%args) = @_;
    my $dir = temp_dir() . '/' . ++$n;
    mkdir $dir or die "$dir: $!";
    my $master  = Ticket::Redis->new(dir => $dir, name => 'm', tcp => 1, options => ['--repl-diskless-sync-delay', 0]);
    my $replica = Ticket::Redis->new(dir => $dir, name => 'r', replica_of => $master)->await_sync;
    my @sentinel = map {
        Ticket::Sentinel->new(dir => $dir, name => "s$_", master => $master, quorum => 2, %args)
    } 1 .. 3;
    $_->await_company(1, 2) for @sentinel;
    my $where = join ' ', 'sentinel=line', (map { $_->address } @sentinel), 'timeout=500ms';
    my @node = map { Ticket::Ordeal::node($where, name => "$_$n") } qw(a b);
    my $now = sub { return $sentinel[1]->master_port == $replica->port ? $replica : $master };
    return ($master, $replica, \@sentinel, Ticket::Ordeal->new(nodes => \@node, redis => $now), @node);
}

subtest 'master killed, replica takes over' => sub {
    my ($master, $replica, $sentinel, $line, @node) = scene();
    $replica->await_sync;
    $master->kill9;
    $line->refuses($_, 'fail-over') for @node;
    $line->enters('fail-over');
    eventually { $line->step; $sentinel->[1]->master_port == $replica->port } 20, 'the sentinels fail over';
    eventually { $line->step; !grep { ($_->{updated_ms} // 9999) > 500 } $line->line } 5,
        'and the nodes follow soon';
    $line->recovers('fail-over');

    # The old one comes back, and is made a replica.
    $master->restart;
    $line->steps(2);
    $line->recovers('fail-over: with the old master back');
    $line->verdict('fail-over');
};

subtest 'a sentinel dead, and one that knows no better' => sub {
    my ($master, $replica, $sentinel, $line, @node) = scene();
    $sentinel->[2]->cmd('SENTINEL', 'REMOVE', 'line');
    kill STOP => $sentinel->[0]->pid;
    $node[0]->reload;
    is($line->join_at($node[0])->{status}, 201, 'new processes find the master although the first does not answer');
    $sentinel->[0]->kill9;
    $node[0]->reload;
    is($line->join_at($node[0])->{status}, 201, 'and when it is dead');
    $line->recovers('one sentinel');
    $line->verdict('one sentinel');
};

subtest 'master demoted' => sub {
    my ($master, $replica, $sentinel, $line, @node) = scene(down_after => 20_000);

    # By hand, and the sentinels learn it a little later.
    $_->cmd('SENTINEL', 'REMOVE', 'line') for @$sentinel;
    $replica->cmd('REPLICAOF', 'NO', 'ONE');
    $master->cmd('REPLICAOF', '127.0.0.1', $replica->port);
    $line->refuses($_, 'demoted') for @node;
    $line->{redis} = sub { $replica };
    $line->steps(1.5);
    $_->cmd('SENTINEL', 'MONITOR', 'line', '127.0.0.1', $master->port, 2) for @$sentinel;
    eventually { $line->step; $node[0]->error_log =~ /is no master: by its ROLE/ } 5,
        'a sentinel that names a replica is not believed';
    $line->enters('demoted');
    $_->cmd('SENTINEL', 'REMOVE', 'line') for @$sentinel;
    $_->cmd('SENTINEL', 'MONITOR', 'line', '127.0.0.1', $replica->port, 2) for @$sentinel;
    $line->recovers('demoted');
    $line->verdict('demoted');
};

subtest 'all sentinels dead' => sub {
    my ($master, $replica, $sentinel, $line, @node) = scene();
    $_->kill9 for @$sentinel;
    $line->{redis} = sub { $master };
    $line->recovers('no sentinels');
    is($line->join_at($node[1])->{status}, 201, 'the connection that stands is used on');
    $node[0]->reload;
    $line->refuses($node[0], 'no sentinels: new processes');
    like($node[0]->error_log, qr/no sentinel names a master of "line"/, 'for nobody tells them the master');
    $_->restart for @$sentinel;
    $line->recovers('sentinels back', $node[0]);
    $line->verdict('no sentinels');
};

done_testing;
