# Every route of the worker and every answer it can give.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use JSON::PP ();
use Ticket::Http qw(http http_raw);
use Ticket::MariaDB;
use Ticket::Token qw(token);
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_performance(1, 'hall', 300_000, map { "A-$_" } 1 .. 40);
$db->add_performance(2, 'hall:20261201', 300_000, 'A-1');
$db->set_seat(1, 'A-39', 'sold');
$db->set_seat(1, 'A-40', 'blocked');
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db);

my $SEATS = '/v1/performances/1/seats';
my $HOLDS = '/v1/performances/1/holds';

# A problem has its status, its code, and the form of RFC 9457.
sub is_problem {
    my ($answer, $status, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is "$answer->{status} " . ($answer->{json}{code} // ''), "$status $code", $name
        or diag $answer->{body};
    is $answer->{headers}{'content-type'}, 'application/problem+json', '... as problem+json';
    my $problem = $answer->{json};
    ok $problem->{type} eq 'about:blank' && $problem->{status} == $status
        && length $problem->{title} && length $problem->{detail}, '... with all its members';
    is $answer->{headers}{'cache-control'}, 'no-store', '... not to be stored';
    is $answer->{headers}{'idempotency-replayed'}, undef, '... and no replay';
    return;
}

sub hold { return http($worker->target, $worker->hold(@_)) }

# What the database has of a seat: state and version.
sub seat { return join ' ', @{$db->seat(1, $_[0])}{qw(state version)} }

subtest 'seats' => sub {
    my $answer = $worker->ask(1, GET => $SEATS);
    is $answer->{status}, 200, 'listed';
    is $answer->{headers}{'content-type'}, 'application/json', 'as JSON';
    is $answer->{headers}{'cache-control'}, 'no-cache', 'to be asked for anew each time';
    is $answer->{json}{performance}, 1, 'names the performance';
    my @seats = @{$answer->{json}{seats}};
    is_deeply [map { $_->{seat} } @seats], [map { "A-$_" } 1 .. 40], 'in the order of the hall';
    is_deeply $seats[0], {seat => 'A-1', state => 'free', version => 0}, 'a free seat';
    is_deeply [@seats[38, 39]], [{seat => 'A-39', state => 'sold', version => 1},
        {seat => 'A-40', state => 'blocked', version => 1}], 'a sold and a blocked one';
    is $worker->ask(2, GET => $SEATS)->{body}, $answer->{body}, 'the same for everybody';
    is http($worker->target, HEAD => $SEATS, {$worker->headers})->{status}, 200, 'HEAD is GET';
    is_problem $worker->ask(1, GET => '/v1/performances/7/seats'), 404, 'no_such_performance', 'unknown';
    is_problem $worker->ask(1, GET => '/v1/performances/2/seats'), 404, 'no_such_performance',
        'of another room instance';
    is http($worker->target, GET => '/v1/performances/2/seats',
            {$worker->headers(room => 'hall:20261201')})->{status}, 200, 'which its own pass may see';
};

subtest 'a hold, from beginning to end' => sub {
    my $answer = hold(1, 'A-2', 'A-1');
    is $answer->{status}, 201, 'made';
    my $hold = $answer->{json};
    like $hold->{hold}, qr/^[0-9a-f]{32}$/, 'with an id';
    is $answer->{headers}{location}, "/v1/holds/$hold->{hold}", 'and its location';
    is $hold->{performance}, 1, 'of the performance';
    like $hold->{expires_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'with its end';
    is $hold->{expires_at}, $db->value("SELECT CONCAT(REPLACE(expires_at, ' ', 'T'), 'Z') FROM hold"),
        'as the database has it';
    is_deeply $hold->{seats}, [
        {seat => 'A-1', version => 1, tier => 'standard'}, {seat => 'A-2', version => 1, tier => 'standard'},
    ], 'and its seats, in the order of the hall';
    is_deeply $hold->{pools}, [], 'and no standing places';
    is $hold->{expires_in_ms}, 300_000, 'and its life';
    is $db->value('SELECT owner FROM hold'), 'hall/1-1', 'its owner is the session';

    my $again = $worker->ask(1, GET => "/v1/holds/$hold->{hold}");
    is $again->{status}, 200, 'it can be read';
    cmp_ok $again->{json}{expires_in_ms}, '<=', $hold->{expires_in_ms}, 'while its time goes down';
    $again->{json}{expires_in_ms} = $hold->{expires_in_ms};
    ok defined $again->{json}{extended} && !delete $again->{json}{extended}, 'it was not extended';
    is_deeply $again->{json}, $hold, 'and is the same otherwise';
    is_problem $worker->ask(2, GET => "/v1/holds/$hold->{hold}"), 404, 'no_such_hold', 'not by others';
    is_problem http($worker->target, GET => "/v1/holds/$hold->{hold}",
        {$worker->headers(room => 'hall:20261201', number => 1)}), 404, 'no_such_hold',
        'nor by the same number of another instance';
    is_problem http($worker->target, GET => "/v1/holds/$hold->{hold}",
        {$worker->headers(number => 1, epoch => 2)}), 404, 'no_such_hold', 'or of another epoch';

    is_problem $worker->ask(2, DELETE => "/v1/holds/$hold->{hold}"), 404, 'no_such_hold',
        'others cannot release it';
    is seat('A-1'), 'held 1', 'it stays';
    for my $time ('released', 'released again') {
        my $gone = $worker->ask(1, DELETE => "/v1/holds/$hold->{hold}");
        is "$gone->{status} '$gone->{body}'", "204 ''", $time;
    }
    is_problem $worker->ask(1, GET => "/v1/holds/$hold->{hold}"), 404, 'no_such_hold', 'then it is no more';
    is_deeply [map { seat($_) } 'A-1', 'A-2', 'A-3'], ['free 2', 'free 2', 'free 0'],
        'and its seats are free, their versions raised';
    is $db->value('SELECT COUNT(*) FROM seat WHERE version > 0'), 4, 'nothing else was touched';
    is_problem $worker->ask(1, GET => '/v1/holds/' . '0' x 32), 404, 'no_such_hold', 'an unknown hold';
    is_problem $worker->ask(1, DELETE => '/v1/holds/' . '0' x 32), 404, 'no_such_hold', 'to be released';
};

subtest 'conflicts' => sub {
    my $held = hold(1, 'A-5', 'A-6')->{json};
    my $answer = hold(2, 'A-4', 'A-5', 'A-6', 'A-39', 'A-40');
    is_problem $answer, 409, 'seat_unavailable', 'seats that others have, sold and blocked ones';
    is_deeply $answer->{json}{conflicts}, [
        {seat => 'A-5', state => 'held', version => 1}, {seat => 'A-6', state => 'held', version => 1},
        {seat => 'A-39', state => 'sold', version => 1}, {seat => 'A-40', state => 'blocked', version => 1},
    ], 'all of them are named';
    is seat('A-4'), 'free 0', 'and nothing is held';
    is hold(1, 'A-5')->{status}, 409, 'one\'s own hold is in the way, too';
    is_problem hold(2, 'A-4', 'Z-1'), 404, 'no_such_seat', 'a seat that does not exist';
    is seat('A-4'), 'free 0', 'holds nothing either';
    is_problem $worker->ask(1, POST => '/v1/performances/2/holds', {seats => ['A-1']}),
        404, 'no_such_performance', 'a performance of another room instance';
    is $worker->ask(1, DELETE => "/v1/holds/$held->{hold}")->{status}, 204, 'released';
};

subtest 'versions' => sub {
    my $hold = hold(1, {seat => 'A-10', version => 0}, 'A-11', {seat => 'A-12'});
    is $hold->{status}, 201, 'the version last seen, named or not';
    $worker->ask(1, DELETE => "/v1/holds/$hold->{json}{hold}");
    my $answer = hold(1, {seat => 'A-10', version => 0}, 'A-11');
    is_problem $answer, 409, 'seat_unavailable', 'a version that is not the present one';
    is_deeply $answer->{json}{conflicts}, [{seat => 'A-10', state => 'free', version => 2}],
        'names the seat and its version';
    is hold(1, {seat => 'A-10', version => 2}, 'A-11')->{status}, 201, 'with it, it goes through';
};

# A POST of a hold by a visitor; the key goes as it is, undef is none.
sub post {
    my ($number, $key, $body) = @_;
    return http($worker->target, POST => $HOLDS, [$worker->headers(number => $number),
        'Content-Type' => 'application/json', map { ('Idempotency-Key' => $_) } $key // ()], $body);
}

my $first;
subtest 'Idempotency-Key' => sub {
    my $body = '{"seats":["A-21"]}';
    is_problem post(1, undef, $body), 400, 'idempotency_key_missing', 'none';
    is_problem post(1, $_, $body), 400, 'idempotency_key_malformed', "\"" . substr($_, 0, 40) . '"'
        for '"', '""', 'a b', 'a"', '"a', '"a"b"', "\"a\\b\"", "\"\xc3\xa4\"", "\"a\tb\"", 'a,b', 'x' x 129, '"' . 'x' x 129 . '"';
    is seat('A-21'), 'free 0', 'nothing was held';
    is post(1, $_->[0], "{\"seats\":[\"$_->[1]\"]}")->{status}, 201, substr($_->[0], 0, 40) . ' will do'
        for ['x' x 128, 'A-21'], ['"' . '~' x 128 . '"', 'A-22'], ['a.b_c~d-9', 'A-23'], ['"a b,;=\'{}"', 'A-24'];

    $first = post(1, '"one"', '{"seats":["A-25"]}');
    is $first->{status}, 201, 'a hold';
    is $first->{headers}{'idempotency-replayed'}, undef, '... is no replay';
    for my $form ('"one"', 'one') {
        my $again = post(1, $form, '{"seats":["A-25"]}');
        is $again->{status}, 201, "asked for again with $form";
        is $again->{body}, $first->{body}, '... the answer is the same';
        is $again->{headers}{location}, $first->{headers}{location}, '... its address, too';
        is $again->{headers}{'idempotency-replayed'}, '?1', '... and it says so';
    }
    is seat('A-25'), 'held 1', 'it was done once';
    is_problem post(1, '"one"', '{"seats":["A-26"]}'), 422, 'idempotency_key_reused', 'the key with another body';
    is_problem post(1, '"one"', '{"seats":["A-25"] }'), 422, 'idempotency_key_reused', 'differing by a byte';
    is seat('A-26'), 'free 0', 'does nothing';
    is post(2, '"one"', '{"seats":["A-26"]}')->{status}, 201, 'another visitor may have the same';

    my $refused = post(3, '"no"', '{"seats":["A-25"]}');
    is_problem $refused, 409, 'seat_unavailable', 'a refusal';
    is $worker->ask(1, DELETE => $first->{headers}{location})->{status}, 204, 'what was in the way goes';
    my $again = post(3, '"no"', '{"seats":["A-25"]}');
    is "$again->{status} $again->{body}", "409 $refused->{body}", 'the refusal is the same for the key';
    is $again->{headers}{'idempotency-replayed'}, '?1', '... and says so';
    is_problem post(3, '"no"', '{"seats":["A-27"]}'), 422, 'idempotency_key_reused', 'the key of a refusal, too';
    is post(3, '"new"', '{"seats":["A-25"]}')->{status}, 201, 'a new key asks anew';
};

subtest 'passes' => sub {
    my %sealed = (room => 'hall', secret => $worker->{secret});
    my $ask = sub { http($worker->target, GET => $SEATS, {@_}) };
    my $with = sub { $ask->('X-Ticket-Room' => 'hall', 'X-Ticket-Pass' => $_[0]) };
    my $good = Ticket::Token::pass(%sealed);
    is $with->($good)->{status}, 200, 'a good one';
    is_problem $ask->(), 401, 'no_token', 'none at all';
    is_problem $ask->('X-Ticket-Room' => 'hall'), 401, 'no_token', 'a room without a pass';
    is_problem $ask->('X-Ticket-Pass' => $good), 401, 'no_token', 'a pass without a room';
    is_problem $with->(''), 401, 'no_token', 'an empty one';
    is_problem $with->(token(kind => 'queue', %sealed)), 403, 'bad_token', 'a queue token';
    is_problem $with->(Ticket::Token::pass(%sealed, room => 'other')), 403, 'bad_token', 'one of another room';
    is_problem $with->(Ticket::Token::pass(%sealed, secret => 'ab' x 32)), 403, 'bad_token', 'by another key';
    is_problem $with->(Ticket::Token::pass(%sealed, key_id => 2)), 403, 'bad_token', 'by an unknown key';
    is_problem $with->(Ticket::Token::pass(%sealed, version => 2)), 403, 'bad_token', 'of another version';
    is_problem $with->(substr $good, 0, 63), 403, 'bad_token', 'truncated';
    is_problem $with->($good . 'A'), 403, 'bad_token', 'too long';
    is_problem $with->(Ticket::Token::pass(%sealed, seconds => -1)), 410, 'pass_expired', 'one that has run out';
    for my $room ('ha ll', 'hall:', ':x', 'a' x 65, 'hall:1:2', 'hall/1') {
        is $ask->('X-Ticket-Room' => $room, 'X-Ticket-Pass' => Ticket::Token::pass(%sealed, room => $room))->{status},
            403, "a room named \"$room\"";
    }
    my $long = ('r' x 64) . ':' . ('v' x 63);
    is $ask->('X-Ticket-Room' => $long, 'X-Ticket-Pass' => Ticket::Token::pass(%sealed, room => $long))->{status},
        404, 'a long name is as good as any';
    is_problem http($worker->target, POST => $HOLDS, {'Content-Type' => 'application/json'},
                    '{"seats":["A-20"]}'), 401, 'no_token', 'a hold without a pass';
    is_problem http($worker->target, DELETE => '/v1/holds/' . '0' x 32), 401, 'no_token', 'a release, too';
};

subtest 'a pass that is bound to a value' => sub {
    my %sealed = (room => 'hall', secret => $worker->{secret});
    my $ask = sub {
        my ($bound, @bind) = @_;
        return http($worker->target, GET => $SEATS,
            ['X-Ticket-Room' => 'hall', 'X-Ticket-Pass' => Ticket::Token::pass(%sealed, bind => $bound),
             map { ('X-Ticket-Bind' => $_) } @bind]);
    };
    is $ask->('alice', 'alice')->{status}, 200, 'is good with that value';
    is_problem $ask->('alice'), 403, 'bad_token', 'not without it';
    is_problem $ask->('alice', ''), 403, 'bad_token', 'not with an empty one';
    is_problem $ask->('alice', $_), 403, 'bad_token', "not with \"$_\"" for 'alicf', 'alic', 'alicea', 'Alice';
    is_problem $ask->('', 'alice'), 403, 'bad_token', 'nor is one that is bound to nothing, where there is a value';
    is $ask->('', '')->{status}, 200, 'which is good without';
    is $ask->("M\xc3\xbcller; a=\"b\"", "M\xc3\xbcller; a=\"b\"")->{status}, 200, 'any bytes will do';
    my $longest = 'x' x 4096;
    is $ask->($longest, $longest)->{status}, 200, 'up to 4096 of them';
    is_problem $ask->($longest, $longest . 'x'), 400, 'malformed', 'and no more';
    is_problem $ask->('alice', 'alice', 'alice'), 400, 'malformed', 'and given once';
    my $made = http($worker->target, POST => $HOLDS,
        {$worker->headers(number => 30, bind => 'alice'), 'X-Ticket-Bind' => 'alice', 'Idempotency-Key' => 'bound'},
        {seats => ['A-30']});
    is $made->{status}, 201, 'it holds seats';
    is http($worker->target, GET => $made->{headers}{location}, {$worker->headers(number => 30)})->{status}, 200,
        'for the session, whichever pass of it is shown';
};

subtest 'every flipped bit of a pass' => sub {
    my $good = Ticket::Token::pass(room => 'hall', secret => $worker->{secret});
    require MIME::Base64;
    my $raw = MIME::Base64::decode_base64url($good);
    my @requests = map {
        my $altered = $raw;
        vec($altered, $_, 1) ^= 1;
        [GET => $SEATS, {'X-Ticket-Room' => 'hall',
                         'X-Ticket-Pass' => MIME::Base64::encode_base64url($altered)}]
    } 0 .. 8 * length($raw) - 1;
    is scalar(grep { $_->{status} != 403 } @{Ticket::Http::http_many($worker->target, \@requests)}), 0,
        'is refused';
};

subtest 'addresses and methods' => sub {
    for my $path ('/', '/v1', '/v1/performances', '/v1/performances/', '/v1/performances/0/seats',
                  '/v1/performances/01/seats', '/v1/performances/1/seats/', '/v1/performances/-1/seats',
                  '/v1/performances/9999999999/seats', '/v1/performances/1%2fseats', '/v1/holds/',
                  '/v1/holds/' . 'A' x 32, '/v1/holds/' . '0' x 31, '/v1/holds/' . '0' x 33,
                  '/v1/holds/..', '/healthz/', '/v1/performances/1/seats%00') {
        is_problem $worker->ask(1, GET => $path), 404, 'not_found', $path;
    }
    my %allow = ($SEATS => 'GET, HEAD', $HOLDS => 'GET, HEAD, POST', '/v1/performances/1' => 'GET, HEAD',
                 '/v1/performances/1/map/0' => 'GET, HEAD', '/v1/performances/1/seats/stream' => 'GET, HEAD',
                 '/v1/holds/' . '0' x 32 => 'GET, HEAD, DELETE', '/v1/holds/' . '0' x 32 . '/extend' => 'POST',
                 '/healthz' => 'GET, HEAD', '/metrics' => 'GET, HEAD');
    for my $path (sort keys %allow) {
        my $answer = $worker->ask(1, PUT => $path, {});
        is_problem $answer, 405, 'method_not_allowed', "PUT $path";
        is $answer->{headers}{allow}, $allow{$path}, '... names those it has';
    }
    is $worker->ask(1, POST => $SEATS, {})->{status}, 405, 'POST to the list';
    is $worker->ask(1, DELETE => $HOLDS)->{status}, 405, 'DELETE of holds';
    is $worker->ask(1, GET => "$SEATS?x=1")->{status}, 200, 'a query changes nothing';
};

subtest 'health, metrics, log' => sub {
    my $answer = http($worker->target, GET => '/healthz');
    is "$answer->{status} $answer->{body}", '200 {"status":"ok"}', 'healthy';
    http($worker->target, GET => '/healthz', {'X-Request-Id' => "id-\x01\"forged"});
    # What is counted is counted once the answer is out.
    eventually { http($worker->target, GET => '/metrics')->{body} =~ /seconds_count\{route="healthz",outcome="done"\} 2$/m } 5, 'all is counted';
    $answer = http($worker->target, GET => '/metrics');
    is $answer->{status}, 200, 'metrics';
    like $answer->{headers}{'content-type'}, qr{^text/plain; version=0\.0\.4}, 'in Prometheus\'s text';
    like $answer->{body}, qr/^ticket_worker_requests_total\{route="holds",status="201"\} 14$/m, 'holds made';
    like $answer->{body}, qr/^ticket_worker_requests_total\{route="hold",status="204"\} 5$/m, 'and released';
    like $answer->{body}, qr/^ticket_worker_request_seconds_count\{route="healthz",outcome="done"\} 2$/m, 'times';
    is scalar(grep { !/^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? \S+)$/ }
              split /\n/, $answer->{body}), 0, 'every line is well-formed';

    my @lines = map { eval { JSON::PP->new->decode($_) } // { broken => $_ } }
        split /\n/, slurp($worker->{log});
    is_deeply [map { $_->{broken} } grep { $_->{broken} } @lines], [], 'every line of the log is JSON';
    my ($forged) = grep { ($_->{request_id} // '') =~ /^id-/ } @lines;
    ok $forged && $forged->{request_id} eq "id-\x01\"forged", 'the request id is logged, escaped'
        if !grep { $_->{broken} } @lines;
    my ($made) = grep { ($_->{status} // 0) == 201 } @lines;
    is_deeply [@{$made}{qw(level message method path owner)}],
        ['info', 'request', 'POST', $HOLDS, 'hall/1-1'], 'a request says what it was';
    unlike slurp($worker->{log}), qr/\Q$worker->{secret}\E|\Q$db->{password}\E/, 'no secret is in the log';
};

subtest 'a key after a restart' => sub {
    $worker->stop;
    $worker->start;
    my $again = post(1, '"one"', '{"seats":["A-25"]}');
    is "$again->{status} $again->{body}", "201 $first->{body}", 'a worker that has just started knows the hold, too';
    is $again->{headers}{'idempotency-replayed'}, '?1', '... and says that it is no new one';
    is_problem post(1, '"one"', '{"seats":["A-28"]}'), 422, 'idempotency_key_reused', 'and what it was asked with';
    is_deeply [map { seat($_) } 'A-25', 'A-28'], ['held 3', 'free 0'], 'and does nothing';
};

done_testing;
