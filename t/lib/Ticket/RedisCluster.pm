package Ticket::RedisCluster;

# A Redis Cluster on loopback ports: masters that share the slots, and on
# request a replica of each.

use strict;
use warnings;

use Ticket::Redis;
use Ticket::Test ();
use Time::HiRes ();

my $SLOTS = 16_384;

# Options: dir, masters (default 3), replicas (of each, 0 or 1), timeout (of a
# node, ms, default 1500), options (further arguments of each server).
sub new {
    my ($class, %args) = @_;
    my $self = bless {masters => $args{masters} // 3, nodes => []}, $class;
    my $n = $self->{masters} * (1 + ($args{replicas} // 0));
    for my $i (0 .. $n - 1) {
        push @{$self->{nodes}}, Ticket::Redis->new(
            dir => $args{dir}, name => "n$i", cluster => 1,
            options => ['--cluster-node-timeout', $args{timeout} // 1500,
                        '--repl-diskless-sync-delay', 0, @{$args{options} // []}],
        );
    }
    return $self->_join;
}

sub node  { return $_[0]{nodes}[$_[1]] }
sub nodes { return @{$_[0]{nodes}} }
sub id    { return $_[0]->node($_[1])->cmd('CLUSTER', 'MYID') }

# The addresses of some nodes, as ticket_redis takes them.
sub seeds { my ($self, @i) = @_; return join ' ', map { $self->node($_)->address } @i }

sub _join {
    my ($self) = @_;
    my ($first, @others) = $self->nodes;
    for my $i (0 .. $self->{masters} - 1) {
        my $from = int $i * $SLOTS / $self->{masters};
        my $to   = int(($i + 1) * $SLOTS / $self->{masters}) - 1;
        $self->node($i)->cmd('CLUSTER', 'ADDSLOTSRANGE', $from, $to);
        $self->node($i)->cmd('CLUSTER', 'SET-CONFIG-EPOCH', $i + 1);
    }
    my ($port, $bus) = ($first->port, _bus($first));
    $_->cmd('CLUSTER', 'MEET', '127.0.0.1', $port, $bus) for @others;
    $self->_await(sub { my @known = split /\n/, $_->cmd('CLUSTER', 'NODES'); @known == $self->nodes });
    for my $i ($self->{masters} .. $#{$self->{nodes}}) {
        $self->node($i)->cmd('CLUSTER', 'REPLICATE', $self->id($i - $self->{masters}));
    }
    $self->_await(sub { $_->cmd('CLUSTER', 'INFO') =~ /cluster_state:ok/ });
    $self->node($_)->await_sync for $self->{masters} .. $#{$self->{nodes}};
    return $self;
}

sub _bus {
    my ($node) = @_;
    my ($bus) = $node->cmd('CLUSTER', 'NODES') =~ /:[0-9]+\@([0-9]+)[ ,][^\n]*myself/;
    return $bus;
}

# Waits until the condition holds of each node ($_).
sub _await {
    my ($self, $condition) = @_;
    for my $node ($self->nodes) {
        $node->await(sub { local $_ = $node; $condition->() }, 20, 'agreement of the cluster');
    }
    return;
}

sub slot { my ($self, $key) = @_; return $self->node(0)->cmd('CLUSTER', 'KEYSLOT', $key) }

# Index of the master that serves a key, as the nodes that run see it: the one
# that answers for it.
sub owner {
    my ($self, $key) = @_;
    for my $i (0 .. $#{$self->{nodes}}) {
        my $got = eval { $self->node($i)->pipeline(['EXISTS', $key])->[0] } // next;
        return $i if !ref $got && $self->node($i)->cmd('ROLE')->[0] eq 'master';
    }
    return;
}

# Begins to move a slot between two masters; move_keys and end_move go on.
sub begin_move {
    my ($self, $slot, $from, $to) = @_;
    $self->node($to)->cmd('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $self->id($from));
    $self->node($from)->cmd('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $self->id($to));
    return;
}

# Moves those keys of the slot for which the condition holds; returns them.
sub move_keys {
    my ($self, $slot, $from, $to, $condition) = @_;
    my @keys = grep { $condition->($_) } @{$self->node($from)->cmd('CLUSTER', 'GETKEYSINSLOT', $slot, 1000)};
    $self->node($from)->cmd('MIGRATE', '127.0.0.1', $self->node($to)->port, $_, 0, 2000) for @keys;
    return @keys;
}

sub end_move {
    my ($self, $slot, $to) = @_;
    my @others = grep { $_ != $to && $_ < $self->{masters} } 0 .. $#{$self->{nodes}};
    $self->node($_)->cmd('CLUSTER', 'SETSLOT', $slot, 'NODE', $self->id($to)) for $to, @others;
    return;
}

1;
