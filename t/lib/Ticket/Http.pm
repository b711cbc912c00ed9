package Ticket::Http;

# An HTTP/1.1 client for tests, over unix sockets and TCP: one loop over
# nonblocking sockets, so that a single test process can be a thousand
# visitors at once.
#
# A target is "unix:/path", "/path" or "host:port".  A request is
# [METHOD, PATH, HEADERS, BODY] or a hash with method, path, headers, body and
# jar (a Ticket::Http::Jar).  HEADERS is a hash, or a list of names and values
# where names repeat; an undefined value leaves out a header the client would
# add.  A BODY that is a reference is sent as JSON.
#
# A response is a hash: status, reason, headers (lowercased name to value),
# pairs (all as they came), set_cookie, body, json (when the type is JSON),
# seconds, retries.  A request without an answer has status 0 and error.

use strict;
use warnings;

use Errno qw(EAGAIN EINPROGRESS EINTR);
use Exporter 'import';
use IO::Handle ();
use IO::Poll qw(POLLIN POLLOUT POLLERR POLLHUP);
use JSON::PP ();
use Socket;
use Ticket::Http::Jar;
use Ticket::Http::Response;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(http http_many http_raw);

my $json = JSON::PP->new->utf8->canonical;
my %IDEMPOTENT = map { $_ => 1 } qw(GET HEAD PUT DELETE OPTIONS);

# One request on a connection of its own.
sub http {
    my ($target, @request) = @_;
    return Ticket::Http->new($target)->request(@request);
}

# Many requests, concurrency (default 100) at a time on kept-alive
# connections; the responses in the order of the requests.
sub http_many {
    my ($target, $requests, %option) = @_;
    return Ticket::Http->new($target)->many($requests, %option);
}

# Sends the bytes as they are and returns all that comes back until the
# server closes; dies after timeout (default 5) seconds of silence.
sub http_raw {
    my ($target, $bytes, %option) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $fh = _socket(_address($target)) or die "connect $target: $!\n";
    my $poll = IO::Poll->new;
    my $answer = '';
    while (1) {
        $poll->mask($fh => POLLIN | (length $bytes ? POLLOUT : 0));
        $poll->poll($option{timeout} // 5) > 0
            or die "no end of the answer, so far: $answer\n";
        my $events = $poll->events($fh);
        if ($events & POLLOUT && length $bytes) {
            my $sent = syswrite $fh, $bytes;
            if    (defined $sent)    { substr $bytes, 0, $sent, '' }
            elsif (!$!{EAGAIN})      { $bytes = '' }
        }
        next if !($events & (POLLIN | POLLHUP | POLLERR));
        my $got = sysread $fh, $answer, 65536, length $answer;
        last if defined $got ? $got == 0 : !$!{EAGAIN};
    }
    return $answer;
}

# A client that keeps its connections alive.  Option: timeout in seconds
# (default 30) for each request.
sub new {
    my ($class, $target, %option) = @_;
    return bless {
        target  => $target,
        address => [_address($target)],
        timeout => $option{timeout} // 30,
        idle    => [],
    }, $class;
}

sub request {
    my ($self, @request) = @_;
    my $request = ref $request[0] ? $request[0] : \@request;
    return $self->many([$request], concurrency => 1)->[0];
}

# See http_many.  Returns a reference to the list of responses.
sub many {
    my ($self, $requests, %option) = @_;
    my $limit = $option{concurrency} // 100;
    local $SIG{PIPE} = 'IGNORE';
    local $self->{poll} = IO::Poll->new;
    local $self->{busy} = {};
    local $self->{waiting} = [map { _job($_) } @$requests];
    my @jobs = @{$self->{waiting}};
    my $checked = time;
    while (@{$self->{waiting}} || %{$self->{busy}}) {
        my $stalled = !$self->_start_jobs($limit);
        $self->_serve($stalled ? 0.002 : 0.5);
        if (time > $checked + 0.5) {
            $self->_give_up_late;
            $checked = time;
        }
    }
    return [map { $_->{response} } @jobs];
}

# Turns a request into the bytes to send and what is known of it.
sub _job {
    my ($request) = @_;
    my %r;
    if (ref $request eq 'ARRAY') { @r{qw(method path headers body)} = @$request }
    else                         { %r = %$request }
    my $body = $r{body};
    my @headers = ref $r{headers} eq 'ARRAY' ? @{$r{headers}} : %{$r{headers} // {}};
    if (ref $body) {
        $body = $json->encode($body);
        unshift @headers, 'Content-Type' => 'application/json' if !_has('Content-Type', @headers);
    }
    unshift @headers, Host => 'localhost' if !_has('Host', @headers);
    if ((defined $body || $r{method} eq 'POST') && !_has('Content-Length', @headers)) {
        push @headers, 'Content-Length' => length($body // '');
    }
    my $cookies = $r{jar} && $r{jar}->header;
    push @headers, Cookie => $cookies if defined $cookies;
    my $bytes = "$r{method} $r{path} HTTP/1.1\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) {
        $bytes .= "$name: $value\r\n" if defined $value;
    }
    return {method => $r{method}, jar => $r{jar}, retries => 0,
            bytes => "$bytes\r\n" . ($body // '')};
}

sub _has {
    my ($name, @headers) = @_;
    for (my $i = 0; $i < @headers; $i += 2) {
        return 1 if lc $headers[$i] eq lc $name;
    }
    return 0;
}

# Puts waiting jobs on connections; false when the server's backlog is full
# and connecting has to be tried again.
sub _start_jobs {
    my ($self, $limit) = @_;
    my ($waiting, $busy) = @{$self}{qw(waiting busy)};
    while (@$waiting && keys %$busy < $limit) {
        my $job = $waiting->[0];
        $job->{started} //= time;
        my $reused = $job->{retries} ? undef : $self->_idle;
        my $fh = $reused // _socket(@{$self->{address}});
        if (!$fh) {
            return 0 if $!{EAGAIN} && time < $job->{started} + $self->{timeout};
            shift @$waiting;
            _answer($job, _failure("connect: $!"));
            next;
        }
        shift @$waiting;
        my %connection = (
            fh => $fh, job => $job, reused => defined $reused, out => $job->{bytes},
            parser => Ticket::Http::Response->new($job->{method}),
        );
        $busy->{fileno $fh} = \%connection;
        if   ($reused) { $self->_write(\%connection) }
        else           { $self->{poll}->mask($fh => POLLIN | POLLOUT) }
    }
    return 1;
}

# A kept connection that the server has not closed meanwhile.
sub _idle {
    my ($self) = @_;
    while (my $fh = pop @{$self->{idle}}) {
        my $got = sysread $fh, my $unexpected, 1;
        return $fh if !defined $got && $!{EAGAIN};
    }
    return;
}

sub _serve {
    my ($self, $seconds) = @_;
    my $poll = $self->{poll};
    if (!%{$self->{busy}}) {
        Time::HiRes::sleep($seconds) if @{$self->{waiting}};
        return;
    }
    return if $poll->poll($seconds) <= 0;
    for my $fh ($poll->handles(POLLIN | POLLOUT | POLLERR | POLLHUP)) {
        my $connection = $self->{busy}{fileno $fh} or next;
        my $events = $poll->events($fh);
        $self->_write($connection) if $events & POLLOUT && length $connection->{out};
        $self->_read($connection)  if $events & (POLLIN | POLLHUP | POLLERR);
    }
    return;
}

# A failed write is left to the read that follows: the answer may be there.
sub _write {
    my ($self, $connection) = @_;
    my $sent = syswrite $connection->{fh}, $connection->{out};
    if    (defined $sent) { substr $connection->{out}, 0, $sent, '' }
    elsif (!$!{EAGAIN})   { $connection->{out} = '' }
    my $more = length $connection->{out} ? POLLOUT : 0;
    $self->{poll}->mask($connection->{fh} => POLLIN | $more);
    return;
}

sub _read {
    my ($self, $connection) = @_;
    my $got = sysread $connection->{fh}, my $bytes, 65536;
    return if !defined $got && ($!{EAGAIN} || $!{EINTR});
    my $why = defined $got ? '' : "read: $!";
    my $response = eval {
        die "$why\n" if $why;
        $got ? $connection->{parser}->add($bytes) : $connection->{parser}->eof;
    };
    if ($@) {
        chomp(my $error = $@);
        return $self->_broken($connection, $error);
    }
    $self->_done($connection, $response) if $response;
    return;
}

sub _done {
    my ($self, $connection, $response) = @_;
    $self->_release($connection);
    push @{$self->{idle}}, $connection->{fh}
        if delete $response->{keep} && $connection->{out} eq '';
    _answer($connection->{job}, $response);
    return;
}

# A server may close a kept connection just as it is used again: what is safe
# to repeat is sent once more on a new connection, as browsers do.
sub _broken {
    my ($self, $connection, $error) = @_;
    $self->_release($connection);
    my $job = $connection->{job};
    if ($connection->{reused} && !$connection->{parser}->begun
        && $IDEMPOTENT{$job->{method}} && !$job->{retries}++)
    {
        unshift @{$self->{waiting}}, $job;
        return;
    }
    _answer($job, _failure($error));
    return;
}

sub _release {
    my ($self, $connection) = @_;
    $self->{poll}->remove($connection->{fh});
    delete $self->{busy}{fileno $connection->{fh}};
    return;
}

sub _give_up_late {
    my ($self) = @_;
    my $oldest = time - $self->{timeout};
    for my $connection (values %{$self->{busy}}) {
        next if $connection->{job}{started} > $oldest;
        $self->_release($connection);
        _answer($connection->{job}, _failure("no answer in $self->{timeout} s"));
    }
    return;
}

sub _failure {
    return {status => 0, error => $_[0], headers => {}, pairs => [], set_cookie => [], body => ''};
}

sub _answer {
    my ($job, $response) = @_;
    $response->{seconds} = time - $job->{started};
    $response->{retries} = $job->{retries};
    $job->{jar}->take($response) if $job->{jar};
    $job->{response} = $response;
    return;
}

# Family and packed address of a target.
sub _address {
    my ($target) = @_;
    my ($path) = $target =~ m{^(?:unix:)?(/.+)$};
    return (AF_UNIX, pack_sockaddr_un($path)) if defined $path;
    my ($host, $port) = $target =~ /^([^:]+):([0-9]+)$/
        or die "no target: $target (unix:/path or host:port)\n";
    my $ip = inet_aton($host) or die "unknown host: $host\n";
    return (AF_INET, pack_sockaddr_in($port, $ip));
}

# A connecting nonblocking socket; undef and $! when that fails at once.
sub _socket {
    my ($family, $address) = @_;
    socket my $fh, $family, SOCK_STREAM, 0 or return;
    $fh->blocking(0);
    connect $fh, $address or $!{EINPROGRESS} or return;
    return $fh;
}

1;
