package Ticket::Orphan;

# A server process that another server started, such as the new master of an
# nginx that is upgraded: it is nobody's child here, so that its end is seen in
# /proc, and its status by nobody.

use strict;
use warnings;

use parent 'Ticket::Service';
use Ticket::Test ();

# Options: name, pid, log, stop_signal (default QUIT).
sub new {
    my ($class, %args) = @_;
    return $class->create(stop_signal => 'QUIT', %args);
}

# Starts a node (a Ticket::Nginx that was not started) by its full path and by
# a parent that goes away: nginx can be upgraded only then.
sub adopt_from {
    my ($class, $node, $name) = @_;
    my $pid_file = "$node->{dir}/$node->{name}.pid";
    local %ENV = (%ENV, %{$node->{env}});
    Ticket::Test::run('sh', '-c', 'file=$0; nginx=$(command -v "$1"); shift; "$nginx" "$@" & until [ -s "$file" ]; do sleep 0.05; done',
                      $pid_file, @{$node->{command}});
    my $self = $class->new(name => $name, log => $node->{log}, pid => Ticket::Service::slurp($pid_file) + 0);
    return $self->await(sub { Ticket::Service::accepts($node->socket) }, 10, 'listening socket');
}

sub alive {
    my ($self) = @_;
    my $pid = $self->{pid} or return 0;
    return 1 if Ticket::Service::slurp("/proc/$pid/stat") =~ /\) [^ZX] /;
    delete $self->{pid};
    $self->problem('ended by itself') if !$self->{ending};
    return 0;
}

1;
