package Ticket::Drive;

# The worker's keeper and reader of streams on their own: t/drive/keeper_drive.c
# with a database and, on request, a Redis.

use strict;
use warnings;

use parent 'Ticket::Service';
use IO::Socket::UNIX;
use Ticket::Test ();
use Ticket::Worker;

# Options: dir, db (a Ticket::MariaDB), name, redis (a hash with the keys of
# the section [redis]; none without).
sub new {
    my ($class, %args) = @_;
    my $build = $ENV{TICKET_SANITIZE} ? '.build/sanitize' : '.build';
    my $conf = Ticket::Worker->prepare(%args)->{conf};
    my $socket = "$args{dir}/$args{name}.drive";
    my $self = $class->create(
        name => $args{name}, log => "$args{dir}/$args{name}.log", socket => $socket,
        command => [Ticket::Test::root_dir() . "/$build/t/drive/keeper_drive", $conf, $socket],
    );
    return $self->begin;
}

# Starts it, also after it was stopped.
sub begin {
    my ($self) = @_;
    unlink $self->{socket};
    return $self->spawn->await(sub { Ticket::Service::accepts($self->{socket}) }, 10, 'socket');
}

# Gives an order and returns the answer.
sub order {
    my ($self, @words) = @_;
    my $peer = IO::Socket::UNIX->new(Peer => $self->{socket}) // die "$self->{name}: $!\n";
    print {$peer} "@words\n";
    $peer->flush;
    local $/ = undef;
    return scalar(<$peer>) // '';
}

# Adds rows to the outbox, one for each of so many seats.
sub add {
    my ($self, %row) = @_;
    my $got = $self->order('add', $row{performance} // 1, $row{room} // 'hall', $row{n} // 1, $row{seat},
                           $row{state} // 1, $row{version}, $row{left} // 50);
    die "$self->{name}: the outbox takes nothing: $got\n" if $got ne 'ok';
    return;
}

# One of the numbers it counts.
sub stat {
    my ($self, $name) = @_;
    my ($value) = $self->order('stats') =~ /\b$name=(\S+)/;
    return $value;
}

# Ends it as a worker ends: with a last round.
sub stop {
    my ($self) = @_;
    return if !$self->alive;
    $self->{ending} = 1;
    eval { $self->order('stop') };
    $self->problem('did not stop') if !$self->_gone(10);
    return $self->SUPER::stop;
}

1;
