# Rule L9 at the worker: whatever is sent, the answer is a 4xx, and nothing in
# the database changes.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many http_raw);
use Ticket::MariaDB;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_performance(1, 'hall', 300_000, map { "A-$_" } 1 .. 40);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db);
my $HOLDS = '/v1/performances/1/holds';

# POSTs a body as it is.
sub post {
    my ($body, @headers) = @_;
    @headers = ('Content-Type' => 'application/json') if !@headers;
    return http($worker->target, POST => $HOLDS,
        [$worker->headers, 'Idempotency-Key' => Ticket::Worker::new_key(), @headers], $body);
}

# Status and code of a problem; says so when it is none.
sub said {
    my ($answer) = @_;
    my $type = $answer->{headers}{'content-type'} // 'no type';
    return "$answer->{status} $type" if $type ne 'application/problem+json';
    return "$answer->{status} $answer->{json}{code}";
}

# A request as text, with its bytes after the head.
sub raw {
    my ($line, @rest) = @_;
    my $body = pop @rest;
    my %pass = ($worker->headers, 'Idempotency-Key' => Ticket::Worker::new_key());
    return join "\r\n", $line, 'Host: x', (map { "$_: $pass{$_}" } sort keys %pass), @rest, '', $body;
}

subtest 'bodies' => sub {
    my %bad = (
        'empty'                    => '',
        'no JSON'                  => 'seats=A-1',
        'cut off'                  => '{"seats":["A-1"',
        'more than one value'      => '{"seats":["A-1"]}{"seats":["A-2"]}',
        'text after the value'     => '{"seats":["A-1"]} x',
        'a comment'                => '{"seats":["A-1"] /* x */}',
        'an array'                 => '["A-1"]',
        'a string'                 => '"A-1"',
        'a number'                 => '1',
        'null'                     => 'null',
        'no member'                => '{}',
        'another member'           => '{"seats":["A-1"],"owner":"x"}',
        'seats twice'              => '{"seats":["A-1"],"seats":["A-2"]}',
        'no seat'                  => '{"seats":[]}',
        'seats is a string'        => '{"seats":"A-1"}',
        'seats is null'            => '{"seats":null}',
        'a seat is a number'       => '{"seats":[1]}',
        'a seat is null'           => '{"seats":[null]}',
        'a seat is true'           => '{"seats":[true]}',
        'a seat is a list'         => '{"seats":[["A-1"]]}',
        'a seat without a name'    => '{"seats":[{"version":1}]}',
        'a seat with two names'    => '{"seats":[{"seat":"A-1","seat":"A-2"}]}',
        'a seat with an unknown member' => '{"seats":[{"seat":"A-1","price":1}]}',
        'a seat in a seat'         => '{"seats":[{"seat":{"seat":"A-1"}}]}',
        'a version that is text'   => '{"seats":[{"seat":"A-1","version":"0"}]}',
        'a version below zero'     => '{"seats":[{"seat":"A-1","version":-1}]}',
        'a version with a point'   => '{"seats":[{"seat":"A-1","version":0.0}]}',
        'a version too large'      => '{"seats":[{"seat":"A-1","version":4294967296}]}',
        'a version far too large'  => '{"seats":[{"seat":"A-1","version":99999999999999999999}]}',
        'two versions'             => '{"seats":[{"seat":"A-1","version":0,"version":0}]}',
        'a seat twice'             => '{"seats":["A-1","A-2","A-1"]}',
        'a seat twice, both forms' => '{"seats":["A-1",{"seat":"A-1","version":0}]}',
        'eleven seats'             => '{"seats":[' . join(',', map { "\"A-$_\"" } 1 .. 11) . ']}',
        'an empty name'            => '{"seats":[""]}',
        'a long name'              => '{"seats":["' . 'A' x 33 . '"]}',
        'a space after the name'   => '{"seats":["A-1 "]}',
        'a quote in the name'      => q({"seats":["A-1' OR '1'='1"]}),
        'a zero byte in the name'  => '{"seats":["A-1\\u0000"]}',
        'a zero byte'              => qq({"seats":["A-1\0"]}),
        'a name beyond ASCII'      => '{"seats":["\\uac00-1"]}',
        'half a surrogate'         => '{"seats":["\\ud800"]}',
        'bytes that are no UTF-8'  => qq({"seats":["\xff\xfe"]}),
        'a line feed in the name'  => '{"seats":["A-1\\nX: 1"]}',
        'eleven places in all'     => '{"seats":["A-1"],"pools":[{"pool":"p","quantity":5}],"best":{"quantity":5}}',
        'pools is an object'       => '{"pools":{"pool":"p","quantity":1}}',
        'no pool'                  => '{"pools":[]}',
        'a pool is a name'         => '{"pools":["p"]}',
        'a pool without a quantity' => '{"pools":[{"pool":"p"}]}',
        'a pool without a name'    => '{"pools":[{"quantity":1}]}',
        'a pool twice'             => '{"pools":[{"pool":"p","quantity":1},{"pool":"p","quantity":1}]}',
        'a quantity of none'       => '{"pools":[{"pool":"p","quantity":0}]}',
        'a quantity below zero'    => '{"pools":[{"pool":"p","quantity":-1}]}',
        'a quantity with a point'  => '{"pools":[{"pool":"p","quantity":1.5}]}',
        'a quantity that is text'  => '{"pools":[{"pool":"p","quantity":"1"}]}',
        'a quantity far too large' => '{"pools":[{"pool":"p","quantity":4294967297}]}',
        'best is a number'         => '{"best":2}',
        'best without a quantity'  => '{"best":{"together":true}}',
        'best of none'             => '{"best":{"quantity":0}}',
        'best of eleven'           => '{"best":{"quantity":11}}',
        'together is a number'     => '{"best":{"quantity":2,"together":1}}',
        'tiers is a name'          => '{"best":{"quantity":2,"tiers":"gold"}}',
        'a tier is a number'       => '{"best":{"quantity":2,"tiers":[1]}}',
        'a tier in a list'         => '{"best":{"quantity":2,"tiers":[["gold"]]}}',
        'best twice'               => '{"best":{"quantity":1},"best":{"quantity":1}}',
        'an unknown member of best' => '{"best":{"quantity":1,"near":"A-1"}}',
        'deep nesting'             => '[' x 8000 . ']' x 8000,
        'deep nesting of seats'    => '{"seats":' . '[' x 8000 . ']' x 8000 . '}',
        'deep objects'             => '{"seats":' x 1500 . '1' . '}' x 1500,
    );
    is said(post($bad{$_})), '400 malformed', $_ for sort keys %bad;
    is post('{"seats":["A-1"]}' . ' ' x 16384)->{status}, 413, 'longer than the limit';
    is said(post('x' x 16385)), '413 too_large', 'by one byte';
    is said(post('x' x 16384)), '400 malformed', 'at the limit it is read';
    is said(post('x' x 1_000_000)), '413 too_large', 'far longer';
};

subtest 'types' => sub {
    my $body = '{"seats":["A-1"]}';
    is said(post($body, 'Content-Type' => $_)), '415 unsupported_media_type', "type \"$_\""
        for '', 'text/plain', 'application/jsonp', 'application/x-www-form-urlencoded',
            'multipart/form-data; boundary=x', 'text/application/json';
    is said(post($body, 'Content-Type' => undef)), '415 unsupported_media_type', 'no type';
};

subtest 'framing' => sub {
    my $post = "POST $HOLDS HTTP/1.1";
    my $json = 'Content-Type: application/json';
    my $body = '{"seats":["A-1"]}';
    my $length = 'Content-Length: ' . length $body;
    my $chunked = sprintf "%x\r\n%s\r\n0\r\n\r\n", length $body, $body;
    my %bad = (
        'two lengths'             => [400, $json, $length, 'Content-Length: 5', $body],
        'the same length twice'   => [400, $json, $length, $length, $body],
        'a length and chunks'     => [400, $json, $length, 'Transfer-Encoding: chunked', $chunked],
        'chunks and a length'     => [400, $json, 'Transfer-Encoding: chunked', 'Content-Length: 0', $chunked],
        'chunks alone'            => [411, $json, 'Transfer-Encoding: chunked', $chunked],
        'another encoding'        => [411, $json, 'Transfer-Encoding: gzip', $body],
        'two types'               => [400, $json, $json, $length, $body],
        'two passes'              => [400, $json, 'X-Ticket-Pass: x', $length, $body],
        'two rooms'               => [400, $json, 'X-Ticket-Room: x', $length, $body],
        'two keys'                => [400, $json, 'Idempotency-Key: x', $length, $body],
        'two identities'          => [400, $json, 'X-Ticket-Identity: x', 'X-Ticket-Identity: y', $length, $body],
        'a large length'          => [413, $json, 'Content-Length: 99999999', $body],
    );
    for my $name (sort keys %bad) {
        my ($status, @rest) = @{$bad{$name}};
        my $smuggled = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        my $answer = eval { http_raw($worker->target, raw($post, @rest) . $smuggled) } // $@;
        my @statuses = $answer =~ m{^HTTP/1\.1 ([0-9]{3})}mg;
        is_deeply \@statuses, [$status], "$name: one answer, and the connection ends" or diag $answer;
    }
    # These the HTTP library refuses by itself, with a page of its own (and
    # libmicrohttpd 0.9.75 sends the head of that twice).
    for my $length ('abc', '-1', '+17', '9' x 40) {
        my $answer = http_raw($worker->target, raw($post, $json, "Content-Length: $length", $body)
            . "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        my %status = map { $_ => 1 } $answer =~ m{^HTTP/1\.1 ([0-9]{3})}mg;
        like join(',', keys %status), qr/^(?:400|413)$/, "a length of $length";
    }
    for my $name ('two lengths', 'chunks alone', 'two passes', 'a large length') {
        my ($status, @rest) = @{$bad{$name}};
        like http_raw($worker->target, raw($post, @rest)), qr{^Content-Type: application/problem\+json\r$}m,
            "$name: a problem";
    }
};

subtest 'heads' => sub {
    my %bad = (
        'no request line'      => "\r\n\r\nhello\r\n\r\n",
        'a wrong version'      => "GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
        'no host'              => "GET /healthz HTTP/1.1\r\n\r\n",
        'an endless header'    => "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " . 'a' x 100_000 . "\r\n\r\n",
        'an endless address'   => 'GET /' . 'a' x 100_000 . " HTTP/1.1\r\nHost: x\r\n\r\n",
        'a thousand headers'   => "GET /healthz HTTP/1.1\r\nHost: x\r\n" . "X: y\r\n" x 5000 . "\r\n",
        'binary'               => join('', map { chr rand 256 } 1 .. 4000) . "\r\n\r\n",
    );
    for my $name (sort keys %bad) {
        my $answer = eval { http_raw($worker->target, $bad{$name}, timeout => 3) } // $@;
        unlike $answer, qr{HTTP/1\.1 (?:[12]|500)}, "$name is not served" or diag $answer;
    }
    my $answer = http_raw($worker->target, "GET /v1/x\x7f\"<script> HTTP/1.1\r\nHost: x\r\n"
        . "X-Request-Id: a\tb\r\nConnection: close\r\n\r\n");
    unlike $answer, qr/script/, 'an address is not repeated in the answer';
    is http($worker->target, GET => '/healthz')->{status}, 200, 'the worker is well';
};

subtest 'ten thousand random tokens' => sub {
    my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
    my @requests = map {
        my $length = $_ % 10 ? 64 : int rand 120;
        my $token = join '', map { $alphabet[rand @alphabet] } 1 .. $length;
        [POST => $HOLDS, {'Content-Type' => 'application/json', 'X-Ticket-Room' => 'hall',
                          'X-Ticket-Pass' => 'A' . $token, 'Idempotency-Key' => 'x'}, '{"seats":["A-1"]}']
    } 1 .. 10_000;
    my %said;
    $said{said($_)}++ for @{http_many($worker->target, \@requests, concurrency => 50)};
    is_deeply \%said, {'403 bad_token' => 10_000}, 'are all refused';
};

is $db->value('SELECT COUNT(*) FROM hold'), 0, 'no hold was made';
is $db->value("SELECT COUNT(*) FROM seat WHERE version > 0 OR state <> 'free'"), 0, 'no seat was touched';

done_testing;
