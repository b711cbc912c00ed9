package Ticket::Http::Response;

# An incremental parser of HTTP/1.1 responses: bytes are added as they come,
# and a finished response is taken out.  Strict where a lenient client would
# hide a server's fault: a bad status line, header or chunk is an error.

use strict;
use warnings;

use JSON::PP ();

my $json = JSON::PP->new->utf8;

# method: of the request, since an answer to HEAD has no body.
sub new {
    my ($class, $method) = @_;
    return bless {method => $method, in => '', out => ''}, $class;
}

sub begun { return $_[0]{in} ne '' || defined $_[0]{status} }

# Adds bytes; returns the response once it is complete, else undef.  Dies
# when the bytes are no HTTP response.
sub add {
    my ($self, $bytes) = @_;
    $self->{in} .= $bytes;
    while (!defined $self->{status}) {
        $self->_head or return;
    }
    return $self->_body;
}

# The peer closed: returns the response when that is how it ends.
sub eof {
    my ($self) = @_;
    die "closed before an answer\n" if !defined $self->{status};
    die "closed within an answer\n" if $self->{framing} ne 'close';
    return $self->_finish($self->{in});
}

# Status line and headers; false while incomplete.  Interim answers (1xx) are
# skipped.
sub _head {
    my ($self) = @_;
    my $end = index $self->{in}, "\r\n\r\n";
    return 0 if $end < 0;
    my ($first, @lines) = split /\r\n/, substr $self->{in}, 0, $end;
    substr $self->{in}, 0, $end + 4, '';
    $first =~ m{^HTTP/1\.([01]) ([1-5][0-9][0-9])(?: (.*))?$}
        or die "bad status line: $first\n";
    return 1 if $2 < 200;
    @{$self}{qw(minor status reason)} = ($1, $2 + 0, $3 // '');
    $self->_headers(@lines);
    $self->{framing} = $self->_framing;
    return 1;
}

sub _headers {
    my ($self, @lines) = @_;
    my (%headers, @pairs);
    for my $line (@lines) {
        $line =~ /^([!#\$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f]*?)[ \t]*$/
            or die "bad header line: $line\n";
        my ($name, $value) = ($1, $2);
        push @pairs, [$name, $value];
        my $known = $headers{lc $name};
        $headers{lc $name} = defined $known ? "$known, $value" : $value;
    }
    $self->{headers} = \%headers;
    $self->{pairs}   = \@pairs;
    return;
}

# How the body ends: none, chunked, a length, or close.
sub _framing {
    my ($self) = @_;
    my ($status, $headers) = @{$self}{qw(status headers)};
    return 'none' if $self->{method} eq 'HEAD' || $status == 204 || $status == 304;
    return 'chunked' if ($headers->{'transfer-encoding'} // '') =~ /\bchunked$/i;
    my $length = $headers->{'content-length'} // return 'close';
    $length =~ /^[0-9]+$/ or die "bad Content-Length: $length\n";
    return 'length';
}

sub _body {
    my ($self) = @_;
    my $framing = $self->{framing};
    return $self->_finish('') if $framing eq 'none';
    return $self->_chunks     if $framing eq 'chunked';
    return                    if $framing eq 'close';
    my $length = $self->{headers}{'content-length'};
    return if length $self->{in} < $length;
    return $self->_finish(substr $self->{in}, 0, $length, '');
}

sub _chunks {
    my ($self) = @_;
    while ($self->{in} =~ /^([0-9a-fA-F]+)[^\r\n]*\r\n/) {
        my ($start, $size) = ($+[0], hex $1);
        if ($size == 0) {
            my $rest = substr $self->{in}, $start;
            $rest =~ /^(?:[^\r\n]+\r\n)*\r\n/ or return;
            substr $self->{in}, 0, $start + $+[0], '';
            return $self->_finish($self->{out});
        }
        return if length $self->{in} < $start + $size + 2;
        $self->{out} .= substr $self->{in}, $start, $size;
        substr($self->{in}, $start + $size, 2) eq "\r\n" or die "bad chunk\n";
        substr $self->{in}, 0, $start + $size + 2, '';
    }
    die "bad chunk size\n" if $self->{in} =~ /^[^\r\n]*\r\n/;
    return;
}

sub _finish {
    my ($self, $body) = @_;
    die "bytes after the answer\n" if $self->{framing} ne 'close' && $self->{in} ne '';
    my $headers = $self->{headers};
    my $connection = lc($headers->{connection} // '');
    my %response = (
        status     => $self->{status},
        reason     => $self->{reason},
        headers    => $headers,
        pairs      => $self->{pairs},
        set_cookie => [map { $_->[1] } grep { lc $_->[0] eq 'set-cookie' } @{$self->{pairs}}],
        body       => $body,
        keep       => $self->{framing} ne 'close' && $self->{minor} == 1 && $connection ne 'close',
    );
    if (($headers->{'content-type'} // '') =~ m{^application/(?:[\w.-]+\+)?json\b}i) {
        $response{json} = eval { $json->decode($body) };
        $response{json_error} = $@ if $@;
    }
    return \%response;
}

1;
