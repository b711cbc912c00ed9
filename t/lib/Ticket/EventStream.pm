package Ticket::EventStream;

# A client of server-sent events, for one connection or a thousand: what came
# is kept as text and as events, and one waits for what is to come.

use strict;
use warnings;

use Errno qw(EAGAIN);
use IO::Poll qw(POLLIN POLLHUP POLLERR);
use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes ();

# Asks for the stream at the path; target as for Ticket::Http, headers as
# names and values.  The answer is read by await.
sub open {
    my ($class, $target, $path, @headers) = @_;
    my $fh = $target =~ m{^(?:unix:)?(/.*)} ? IO::Socket::UNIX->new(Peer => $1)
                                            : IO::Socket::INET->new(PeerAddr => $target);
    $fh or die "connect $target: $!\n";
    my $head = "GET $path HTTP/1.1\r\nHost: localhost\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) {
        $head .= "$name: $value\r\n";
    }
    local $SIG{PIPE} = 'IGNORE';
    print {$fh} "$head\r\n";
    $fh->flush;
    $fh->blocking(0);
    return bless {fh => $fh, in => '', text => '', rest => '', events => [], comments => 0}, $class;
}

# Reads from all of the streams until the condition is true of each; false
# when the seconds have passed before.
sub await {
    my ($streams, $condition, $seconds) = @_;
    my $deadline = Time::HiRes::time() + $seconds;
    my $poll = IO::Poll->new;
    my %waiting = map { fileno $_->{fh} => $_ } grep { !$condition->() } @$streams;
    $poll->mask($_->{fh} => POLLIN) for values %waiting;
    while (%waiting) {
        my $left = $deadline - Time::HiRes::time();
        return 0 if $left <= 0;
        $poll->poll($left);
        for my $fh ($poll->handles(POLLIN | POLLHUP | POLLERR)) {
            my $stream = $waiting{fileno $fh};
            $stream->_read;
            local $_ = $stream;
            my $done = $condition->();
            next if !$done && !$stream->{closed};
            $poll->remove($fh);
            return 0 if !$done;
            delete $waiting{fileno $fh};
        }
    }
    return 1;
}

# The same for one; the condition has it in $_.
sub wait_for {
    my ($self, $condition, $seconds) = @_;
    return await([$self], $condition, $seconds // 10);
}

sub close { $_[0]{fh}->close; $_[0]{closed} = 1; return }

sub status   { return $_[0]{status} // 0 }
sub headers  { return $_[0]{headers} // {} }
sub text     { return $_[0]{text} }
sub closed   { return $_[0]{closed} }
sub comments { return $_[0]{comments} }

# The id of the last block that had one, as a browser would send it.
sub last_id { return $_[0]{last_id} // '' }

# What came, each a hash with id, event and data; only of that name if given.
sub events {
    my ($self, $name) = @_;
    return grep { !defined $name || $_->{event} eq $name } @{$self->{events}};
}

sub _read {
    my ($self) = @_;
    while (1) {
        my $got = sysread $self->{fh}, $self->{in}, 65536, length $self->{in};
        last if !defined $got && $!{EAGAIN};
        $self->{closed} = 1 if !$got;
        last if !$got;
    }
    $self->_head if !$self->{status};
    $self->_body if $self->{status};
    return;
}

sub _head {
    my ($self) = @_;
    $self->{in} =~ s/\A(.*?)\r\n\r\n//s or return;
    my ($first, @lines) = split /\r\n/, $1;
    ($self->{status}) = $first =~ m{^HTTP/1\.1 (\d+)} or die "bad status line: $first\n";
    $self->{headers} = {map { /^([^:]+):\s*(.*)$/ ? (lc $1, $2) : () } @lines};
    return;
}

# Takes the chunks off, and the blocks apart.
sub _body {
    my ($self) = @_;
    if (($self->{headers}{'transfer-encoding'} // '') ne 'chunked') {
        $self->_text($self->{in});
        $self->{in} = '';
        return;
    }
    while ($self->{in} =~ /\A([0-9a-fA-F]+)\r\n/) {
        my ($head, $len) = (length $&, hex $1);
        last if length($self->{in}) < $head + $len + 2;
        $self->_text(substr $self->{in}, $head, $len);
        substr $self->{in}, 0, $head + $len + 2, '';
        $self->{ended} = 1 if $len == 0;
    }
    return;
}

sub _text {
    my ($self, $text) = @_;
    $self->{text} .= $text;
    $self->{rest} .= $text;
    while ($self->{rest} =~ s/\A(.*?)\n\n//s) {
        my %block = (event => 'message');
        for my $line (split /\n/, $1) {
            if    ($line =~ /^:/)                     { $self->{comments}++ }
            elsif ($line =~ /^(\w+): ?(.*)$/)         { $block{$1} .= $2, next if $1 eq 'data'; $block{$1} = $2 }
        }
        $self->{last_id} = $block{id} if defined $block{id};
        push @{$self->{events}}, \%block if defined $block{data};
    }
    return;
}

1;
