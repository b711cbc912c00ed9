package Ticket::RedisProxy;

# A relay between nodes and Redis that can fail in ways Redis itself does not
# when asked to.  How is in a file, as one of these words and a value:
#
#   pass        nothing is wrong
#   hold        takes connections and commands, and nothing comes of them
#   slow MS     answers come so much later
#   close       all connections are broken, and new ones at once
#   cut N       of the next N answers only the first half comes, and with it
#               the end of the connection
#   say TEXT    each command is answered by TEXT, and goes no further

use strict;
use warnings;

use parent 'Ticket::Service';
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

# Options: dir (an existing directory), redis (the Ticket::Redis behind it),
# name (default proxy).
sub new {
    my ($class, %args) = @_;
    my $name   = $args{name} // 'proxy';
    my $socket = "$args{dir}/$name.sock";
    (my $lib = __FILE__) =~ s{/Ticket/[^/]+$}{};
    my $self = $class->create(
        name => $name, log => "$args{dir}/$name.log", socket => $socket,
        orders => "$args{dir}/$name.orders", stop_signal => 'KILL',
        command => [$^X, "-I$lib", '-MTicket::RedisProxy', '-e', 'Ticket::RedisProxy::relay(@ARGV)',
                    $socket, $args{redis}->socket, "$args{dir}/$name.orders"],
    );
    $self->order('pass');
    return $self->spawn->await(sub { Ticket::Service::accepts($socket) }, 5, 'socket');
}

sub socket { return $_[0]{socket} }

# Says what is wrong from now on.
sub order {
    my ($self, $what, $value) = @_;
    _write($self->{orders}, $what, $value);
    return;
}

# How many answers are still to be cut.
sub left {
    my ($self) = @_;
    return (split / /, Ticket::Service::slurp($self->{orders}), 2)[1];
}

sub _write {
    my ($path, $what, $value) = @_;
    open my $fh, '>', "$path.new" or die "$path.new: $!\n";
    print {$fh} $what, ' ', $value // 0;
    close $fh or die "$path.new: $!\n";
    rename "$path.new", $path or die "rename: $!\n";
    return;
}

# It is killed, having nothing to lose.
sub stop { return $_[0]->kill9 }

# The relay itself, in its own process.
sub relay {
    my ($socket, $server, $orders) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $listener = IO::Socket::UNIX->new(Local => $socket, Listen => 64) or die "$socket: $!\n";
    my $self = bless {orders => $orders, server => $server, peer => {}, client => {}, late => [],
                      ready => IO::Select->new($listener)};
    while (1) {
        my @ready = $self->{ready}->can_read(0.01);
        @$self{qw(what value)} = split / /, Ticket::Service::slurp($orders), 2;
        $self->_break_all if $self->{what} eq 'close';
        for my $fh (@ready) {
            if ($fh == $listener) { $self->_connect(scalar $listener->accept) }
            else                  { $self->_pass($fh) if $self->{peer}{$fh} }
        }
        $self->_deliver;
    }
}

sub _connect {
    my ($self, $client) = @_;
    return if !$client || $self->{what} eq 'close';
    my $redis = IO::Socket::UNIX->new(Peer => $self->{server}) or return;
    $self->{peer}{$client} = $redis;
    $self->{peer}{$redis}  = $client;
    $self->{client}{$client} = $client;
    $self->{ready}->add($client, $redis);
    return;
}

sub _pass {
    my ($self, $from) = @_;
    my $what = $self->{what};
    my $to   = $self->{peer}{$from};
    my $got  = sysread $from, my $bytes, 262_144;
    return $self->_break($from) if !$got;
    my $asks = $self->{client}{$from};
    return if $what eq 'hold';
    if ($asks && $what eq 'say') {
        my $n = () = $bytes =~ /^\*[0-9]+\r$/mg;
        _put($from, "$self->{value}\r\n" x $n);
    }
    elsif (!$asks && ($what eq 'slow' || grep { $_->[1] == $to } @{$self->{late}})) {
        push @{$self->{late}}, [time + ($what eq 'slow' ? $self->{value} / 1000 : 0), $to, $bytes];
    }
    elsif (!$asks && $what eq 'cut' && $self->{value} > 0) {
        _write($self->{orders}, 'cut', $self->{value} - 1);
        _put($to, substr $bytes, 0, length($bytes) / 2);
        $self->_break($from);
    }
    else { _put($to, $bytes) }
    return;
}

sub _put {
    my ($fh, $bytes) = @_;
    while (length $bytes) {
        my $n = syswrite $fh, $bytes or return;
        substr $bytes, 0, $n, '';
    }
    return;
}

# Answers whose time has come, in their order.
sub _deliver {
    my ($self) = @_;
    my $late = $self->{late};
    while (@$late && $late->[0][0] <= time) {
        my (undef, $to, $bytes) = @{shift @$late};
        _put($to, $bytes) if $self->{peer}{$to};
    }
    return;
}

sub _break {
    my ($self, $fh) = @_;
    my @both = ($fh, $self->{peer}{$fh});
    $self->{ready}->remove(@both);
    delete @{$self->{peer}}{@both};
    delete @{$self->{client}}{@both};
    close $_ for @both;
    return;
}

sub _break_all {
    my ($self) = @_;
    $self->_break($_) for values %{$self->{client}};
    return;
}

1;
