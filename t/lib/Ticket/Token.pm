package Ticket::Token;

# Tokens as core/ticket_token.h lays them out, made independently of it.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use Exporter 'import';
use MIME::Base64 qw(encode_base64url);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(token pass);

my %KIND = (queue => 1, pass => 2);

# A signed token.  Keys of %args: kind (queue or pass), room, secret (hex),
# and optionally key_id (1), epoch (1), number (1), time_ms (now), id (random),
# version (1), bind (what it is bound to; nothing).
sub token {
    my (%args) = @_;
    my $head = pack 'CCnNQ>Q>Q>', $args{version} // 1, $KIND{$args{kind}},
        $args{key_id} // 1, $args{epoch} // 1, $args{number} // 1,
        int($args{time_ms} // time * 1000), $args{id} // int rand 2**48;
    my $context = pack 'C/a*', $args{room};
    $context .= pack 'n/a*', $args{bind} if length($args{bind} // '');
    my $mac = substr hmac_sha256($head . $context, pack 'H*', $args{secret}), 0, 16;
    return encode_base64url($head . $mac);
}

# A pass that is good for a while (seconds, default 600).
sub pass {
    my (%args) = @_;
    my $seconds = delete $args{seconds} // 600;
    return token(kind => 'pass', time_ms => (time + $seconds) * 1000, %args);
}

1;
