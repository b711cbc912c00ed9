package Ticket::Sentinel;

# A Redis Sentinel that watches one master; speaks as Ticket::Redis does.

use strict;
use warnings;

use parent -norequire, 'Ticket::Redis';
use Ticket::Redis;

# Options: dir, name, master (a Ticket::Redis with tcp), master_name (default
# line), quorum (default 1), down_after (ms, default 500), conf (further
# lines).
sub new {
    my ($class, %args) = @_;
    my ($dir, $name, $master) = @args{qw(dir name master)};
    my ($called, $port) = ($args{master_name} // 'line', Ticket::Redis::free_port());
    my $socket = "$dir/$name.sock";
    open my $fh, '>', "$dir/$name.conf" or die "$dir/$name.conf: $!\n";
    print {$fh} join '', map { "$_\n" } "port $port", 'bind 127.0.0.1', "unixsocket $socket", "dir $dir",
        "sentinel monitor $called 127.0.0.1 " . $master->port . ' ' . ($args{quorum} // 1),
        "sentinel down-after-milliseconds $called " . ($args{down_after} // 500),
        "sentinel failover-timeout $called 3000", @{$args{conf} // []};
    close $fh or die "$dir/$name.conf: $!\n";
    my $self = $class->launch(
        name => $name, socket => $socket, log => "$dir/$name.log", port => $port, called => $called,
        command => ['redis-server', "$dir/$name.conf", '--sentinel'],
    );
    return $self->_ready;
}

# The port of the master as this sentinel knows it.
sub master_port {
    my ($self) = @_;
    return $self->cmd('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', $self->{called})->[1];
}

# Waits until it knows so many replicas and other sentinels: before, it would
# not fail over.
sub await_company {
    my ($self, $replicas, $sentinels) = @_;
    return $self->await(sub {
        my %about = @{$self->cmd('SENTINEL', 'MASTER', $self->{called})};
        $about{'num-slaves'} >= $replicas && $about{'num-other-sentinels'} >= $sentinels;
    }, 20, 'company');
}

1;
