package Crowd::Loop;

# One event loop for the whole crowd: timers, and HTTP/1.1 requests over
# nonblocking sockets.  Every visitor has a connection of its own, kept alive
# between requests as a browser's is.  select() on bit strings, because it
# serves ten thousand sockets with one system call and no list of handles.

use strict;
use warnings;

use Errno qw(EAGAIN EINPROGRESS EINTR);
use IO::Handle ();
use Socket qw(AF_INET AF_UNIX SOCK_STREAM inet_aton pack_sockaddr_in pack_sockaddr_un);
use Ticket::Http::Response;
use Time::HiRes qw(time);

use constant {
    TICK         => 0.01,    # seconds; timers are this exact
    ANSWER_IN    => 30,      # seconds
    BACKLOG_WAIT => 0.02,    # until a full backlog is tried again
};

# url: http://host:port or unix:/path.
sub new {
    my ($class, $url) = @_;
    my ($host, $family, $address) = _address($url);
    return bless {
        host => $host, family => $family, address => $address,
        reading => '', writing => '',
        open => [],       # by descriptor: the connection
        busy => {},       # by descriptor: connections that wait for an answer
        wheel => {},      # by tick: what is due then
        tick => int(time / TICK), checked => time,
    }, $class;
}

sub _address {
    my ($url) = @_;
    return ('localhost', AF_UNIX, pack_sockaddr_un($1)) if $url =~ m{^unix:(/.+)$};
    my ($host, $port) = $url =~ m{^http://([^/:]+)(?::([0-9]+))?/?$}
        or die "not an address: $url (http://host:port or unix:/path)\n";
    $port //= 80;
    my $ip = inet_aton($host) or die "unknown host: $host\n";
    return ("$host:$port", AF_INET, pack_sockaddr_in($port, $ip));
}

# Calls back after so many seconds.
sub after {
    my ($self, $seconds, $callback) = @_;
    my $tick = int((time + $seconds) / TICK) + 1;
    push @{$self->{wheel}{$tick}}, $callback;
    return;
}

# Sends a request on the connection (a hash that belongs to the loop; give an
# empty one at first).  The callback gets a response as of Ticket::Http, with
# "seconds"; status 0 and "error" when none came.  One request at a time.
sub request {
    my ($self, $connection, $method, $path, $headers, $body, $callback) = @_;
    my $bytes = "$method $path HTTP/1.1\r\nHost: $self->{host}\r\nAccept: application/json\r\n";
    $bytes .= "$_: $headers->{$_}\r\n" for sort keys %$headers;
    $bytes .= 'Content-Length: ' . length($body) . "\r\n" if defined $body;
    $connection->{out} = "$bytes\r\n" . ($body // '');
    $connection->{parser} = Ticket::Http::Response->new($method);
    $connection->{callback} = $callback;
    $connection->{since} = time;
    $self->_start($connection);
    return;
}

# Closes a connection that is no longer needed.
sub hang_up {
    my ($self, $connection) = @_;
    my $fh = delete $connection->{fh} or return;
    my $fd = fileno $fh;
    vec($self->{reading}, $fd, 1) = 0;
    vec($self->{writing}, $fd, 1) = 0;
    delete $self->{busy}{$fd};
    $self->{open}[$fd] = undef;
    close $fh;
    return;
}

# Turns until the condition holds.
sub run {
    my ($self, $done) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (!$done->()) {
        $self->_sockets;
        $self->_timers;
        $self->_late if time > $self->{checked} + 1;
    }
    return;
}

sub _start {
    my ($self, $connection) = @_;
    if (!$connection->{fh}) {
        my $made = $self->_connect($connection);
        return $self->after(BACKLOG_WAIT, sub { $self->_start($connection) })
            if !$made && $!{EAGAIN} && time < $connection->{since} + ANSWER_IN;
        return $self->_fail($connection, "connect: $!") if !$made;
    }
    my $fd = fileno $connection->{fh};
    $self->{busy}{$fd} = $connection;
    vec($self->{writing}, $fd, 1) = 1;
    return;
}

sub _connect {
    my ($self, $connection) = @_;
    socket my $fh, $self->{family}, SOCK_STREAM, 0 or return 0;
    $fh->blocking(0);
    connect $fh, $self->{address} or $!{EINPROGRESS} or return 0;
    my $fd = fileno $fh;
    $connection->{fh} = $fh;
    $self->{open}[$fd] = $connection;
    vec($self->{reading}, $fd, 1) = 1;
    return 1;
}

sub _sockets {
    my ($self) = @_;
    my ($reading, $writing) = @{$self}{qw(reading writing)};
    my $count = select $reading, $writing, undef, TICK;
    return if $count <= 0;
    for my $fd (_ones($writing)) {
        my $connection = $self->{open}[$fd] or next;
        $self->_write($connection, $fd);
    }
    for my $fd (_ones($reading)) {
        my $connection = $self->{open}[$fd] or next;
        $self->_read($connection);
    }
    return;
}

sub _ones {
    my $bits = unpack 'b*', $_[0];
    my @ones;
    push @ones, pos($bits) - 1 while $bits =~ /1/g;
    return @ones;
}

# A failed write is left to the read that follows: the answer may be there.
sub _write {
    my ($self, $connection, $fd) = @_;
    my $sent = syswrite $connection->{fh}, $connection->{out};
    if    (defined $sent) { substr $connection->{out}, 0, $sent, '' }
    elsif (!$!{EAGAIN})   { @{$connection}{qw(out why)} = ('', "write: $!") }
    vec($self->{writing}, $fd, 1) = length $connection->{out} ? 1 : 0;
    return;
}

sub _read {
    my ($self, $connection) = @_;
    my $got = sysread $connection->{fh}, my $bytes, 262144;
    return if !defined $got && ($!{EAGAIN} || $!{EINTR});
    my $why = defined $got ? delete $connection->{why} : "read: $!";
    return $self->hang_up($connection) if !$connection->{callback};
    my $response = eval {
        die "$why\n" if defined $why && !$got;
        $got ? $connection->{parser}->add($bytes) : $connection->{parser}->eof;
    };
    return $self->_fail($connection, $@ =~ s/\n\z//r) if $@;
    $self->_answer($connection, $response) if $response;
    return;
}

sub _answer {
    my ($self, $connection, $response) = @_;
    delete $self->{busy}{fileno $connection->{fh}};
    $self->hang_up($connection) if !$response->{keep} || $connection->{out} ne '';
    $response->{seconds} = time - $connection->{since};
    (delete $connection->{callback})->($response);
    return;
}

sub _fail {
    my ($self, $connection, $error) = @_;
    $self->hang_up($connection);
    my $callback = delete $connection->{callback} or return;
    $callback->({
        status => 0, error => $error, headers => {}, set_cookie => [],
        seconds => time - $connection->{since},
    });
    return;
}

sub _timers {
    my ($self) = @_;
    my $now = int(time / TICK);
    while ($self->{tick} < $now) {
        my $due = delete $self->{wheel}{++$self->{tick}} or next;
        $_->() for @$due;
    }
    return;
}

sub _late {
    my ($self) = @_;
    $self->{checked} = time;
    my $oldest = time - ANSWER_IN;
    for my $connection (values %{$self->{busy}}) {
        $self->_fail($connection, 'no answer in ' . ANSWER_IN . ' s') if $connection->{since} < $oldest;
    }
    return;
}

1;
