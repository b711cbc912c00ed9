package Ticket::CommitProxy;

# A relay between the worker and its database that knows one word of their
# protocol, COMMIT, and can lose its answer.  What happens to the next COMMITs
# is in a file, as one of these words and a count:
#
#   before N    the connection breaks, and the database never sees it
#   after N     the database commits, then the connection breaks
#   late N      the connection breaks, and the database commits a while later

use strict;
use warnings;

use parent 'Ticket::Service';
use IO::Select;
use IO::Socket::UNIX;
use Ticket::MariaDB ();
use POSIX ();
use Time::HiRes qw(sleep);

my $COMMIT = "\x07\x00\x00\x00\x03COMMIT";

# Options: dir (an existing directory), db (the Ticket::MariaDB behind it).
sub new {
    my ($class, %args) = @_;
    my $socket = "$args{dir}/proxy.sock";
    (my $lib = __FILE__) =~ s{/Ticket/[^/]+$}{};
    my $self = $class->create(
        name => 'proxy', log => "$args{dir}/proxy.log", socket => $socket,
        orders => "$args{dir}/proxy.orders", stop_signal => 'KILL',
        command => [$^X, "-I$lib", '-MTicket::CommitProxy', '-e', 'Ticket::CommitProxy::relay(@ARGV)',
                    $socket, $args{db}->socket, "$args{dir}/proxy.orders"],
    );
    $self->order('before', 0);
    $self->spawn->await(sub { Ticket::Service::accepts($socket) }, 5, 'socket');
    return $self;
}

sub socket { return $_[0]{socket} }

# Says what happens to the next COMMITs.
sub order {
    my ($self, $what, $n) = @_;
    Ticket::MariaDB::write_secret("$self->{orders}.new", "$what $n");
    rename "$self->{orders}.new", $self->{orders} or die "rename: $!\n";
    return;
}

# How many of them are still to come.
sub left {
    my ($self) = @_;
    return (split / /, Ticket::Service::slurp($self->{orders}))[1];
}

# It is killed, having nothing to lose.
sub stop { return $_[0]->kill9 }

# The relay itself, in its own process.
sub relay {
    my ($socket, $server, $orders) = @_;
    local $SIG{PIPE} = 'IGNORE';
    local $SIG{CHLD} = 'IGNORE';
    my $listener = IO::Socket::UNIX->new(Local => $socket, Listen => 64) or die "$socket: $!\n";
    my $ready = IO::Select->new($listener);
    my $self = bless {orders => $orders, peer => {}, ready => $ready};
    while (1) {
        for my $fh ($ready->can_read) {
            if ($fh == $listener) { $self->_connect(scalar $listener->accept, $server) }
            else                  { $self->_pass($fh) if $self->{peer}{$fh} }
        }
    }
}

sub _connect {
    my ($self, $client, $server) = @_;
    my $database = IO::Socket::UNIX->new(Peer => $server) or return;
    $self->{peer}{$client}   = $database;
    $self->{peer}{$database} = $client;
    $self->{ready}->add($client, $database);
    return;
}

sub _pass {
    my ($self, $from) = @_;
    my $to = $self->{peer}{$from};
    my $got = sysread $from, my $bytes, 65536;
    return $self->_break($from, $to) if !$got;
    return $self->_lose($from, $to) if $bytes eq $COMMIT && $self->_ordered;
    syswrite $to, $bytes;
    return;
}

# What is to happen to this COMMIT, counted down; false: nothing.
sub _ordered {
    my ($self) = @_;
    my ($what, $n) = split / /, Ticket::Service::slurp($self->{orders});
    return 0 if !$n;
    $self->order($what, $n - 1);
    return $self->{what} = $what;
}

sub _lose {
    my ($self, $client, $database) = @_;
    if ($self->{what} eq 'after') {
        syswrite $database, $COMMIT;
        sysread $database, my $answer, 65536;
    }
    elsif ($self->{what} eq 'late' && fork() == 0) {
        $self->_commit_late($database);
        POSIX::_exit(0);
    }
    return $self->_break($client, $database);
}

# In a process of its own, which lets go of all other connections, so that
# they can break.
sub _commit_late {
    my ($self, $database) = @_;
    close $_ for grep { $_ != $database } $self->{ready}->handles;
    sleep 0.3;
    syswrite $database, $COMMIT;
    sysread $database, my $answer, 65536;
    return;
}

sub _break {
    my ($self, @both) = @_;
    $self->{ready}->remove(@both);
    delete @{$self->{peer}}{@both};
    close $_ for @both;
    return;
}

1;
