# The operators' API: every route and every answer, versions and preconditions,
# and that visitors see at once what an operator did.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many http_raw);
use Ticket::MariaDB;
use Ticket::Operator;
use Ticket::Redis;
use Ticket::Worker;

my $HALL = "section,row,seat,tier\n" . join('', map { "Hall,A,$_,gold\n" } 1 .. 40)
    . join('', map { "Hall,B,$_,standard\n" } 1 .. 40);
my $FLOOR = "type,pool,capacity,tier\npool,floor,21,standing\n";

my $db = Ticket::MariaDB->new(dir => temp_dir());
my $operator = Ticket::Operator->new(dir => temp_dir());
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db,
                                 config => {admin_token_file => $operator->file});
$operator->of($worker);

sub ask { return $operator->ask(@_) }

# A problem has its status, its code, and the form of RFC 9457.
sub is_problem {
    my ($answer, $status, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is "$answer->{status} " . ($answer->{json}{code} // ''), "$status $code", $name
        or diag $answer->{body};
    is $answer->{headers}{'content-type'}, 'application/problem+json', '... as problem+json';
    ok length $answer->{json}{title} && length $answer->{json}{detail}, '... in words';
    return $answer->{json};
}

# 400 with these words in the detail.
sub is_malformed {
    my ($answer, $words, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like is_problem($answer, 400, 'malformed', $name)->{detail}, $words, '... which says so';
    return;
}

my $holds = 0;

# A hold of the visitor of that number, as nginx would pass it on.
sub hold {
    my ($number, $performance, @seats) = @_;
    return http($worker->target, POST => "/v1/performances/$performance/holds",
        [$worker->headers(number => $number), 'Idempotency-Key' => '"hold-' . ++$holds . '"'],
        {seats => \@seats});
}

# What visitors see of a seat.
sub shown {
    my ($performance, $seat) = @_;
    my $answer = $worker->ask(1, GET => "/v1/performances/$performance/seats");
    my ($found) = grep { $_->{seat} eq $seat } @{$answer->{json}{seats}};
    return $found ? "$found->{state} $found->{version}" : "$answer->{status} $answer->{body}";
}

subtest 'who may ask' => sub {
    my @routes = ([GET => 'venues'], [POST => 'venues', {}], [POST => 'maps', {}], [GET => 'maps/1'],
        [POST => 'maps/1/seats', ''], [POST => 'performances', {}], [GET => 'performances/1'],
        [POST => 'performances/1', {}], [GET => 'performances/1/seats/A-1'],
        (map { [POST => "performances/1/seats/$_", {}] } 'block', 'free', 'A-1/block', 'A-1/free'));
    for my $route (@routes) {
        my ($method, $path, $body) = @$route;
        is_problem ask($method, $path, $body, Authorization => undef), 401, 'no_token', "$method $path without a token";
        is_problem ask($method, $path, $body, Authorization => 'Bearer ' . 'x' x 64), 403, 'bad_token', '... another one';
    }
    is_problem ask(GET => 'venues', undef, Authorization => 'Bearer ' . substr($operator->token, 0, 63)),
        403, 'bad_token', 'a token cut short';
    is_problem ask(GET => 'venues', undef, Authorization => 'Basic ' . $operator->token), 401, 'no_token', 'another scheme';
    is_problem http($worker->target, GET => '/v1/admin/venues', {$worker->headers}), 401, 'no_token', 'a pass is none';
    for my $path (qw(maps/1/seats venues performances/1/seats/block)) {
        my $head = "POST /v1/admin/$path HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: "
            . ($path =~ /^maps/ ? 8 * 1024 * 1024 : 100) . "\r\nIdempotency-Key: x\r\n";
        for ([401], [403, 'Bearer ' . 'x' x 64]) {
            my ($status, $token) = @$_;
            like http_raw($worker->target, $head . ($token ? "Authorization: $token\r\n" : '') . "\r\nsection"),
                qr{^HTTP/1\.1 $status .*^Connection: close\r$}ims, "$path: $status before the body is sent, and the end";
        }
    }
    is_problem ask(DELETE => 'venues'), 405, 'method_not_allowed', 'another method';
    is_problem ask(GET => 'nothing'), 404, 'not_found', 'another address';
    is_problem ask(POST => 'venues', {name => 'A'}, 'Idempotency-Key' => undef), 400, 'idempotency_key_missing', 'without a key';
    is $db->value('SELECT COUNT(*) FROM venue'), 0, 'nothing was made';

    my $closed = Ticket::Worker->new(dir => temp_dir(), db => $db, name => 'closed');
    is_problem http($closed->target, GET => '/v1/admin/venues', {Authorization => 'Bearer '}),
        404, 'not_found', 'without admin_token_file there are no operators';
    $closed->stop;
    unlike slurp(temp_dir() . '/worker.log') . slurp(temp_dir() . '/closed.log'), qr/\Q@{[$operator->token]}/, 'no log has the token';
};

subtest 'venues and maps' => sub {
    my $answer = ask(POST => 'venues', {name => "Op\x{e9}ra \"1\""}, 'Idempotency-Key' => '"v-1"');
    is $answer->{status}, 201, 'a venue';
    is_deeply $answer->{json}, {venue => 1, name => "Op\x{e9}ra \"1\"", maps => []}, 'as it was asked for';
    my $again = ask(POST => 'venues', {name => "Op\x{e9}ra \"1\""}, 'Idempotency-Key' => '"v-1"');
    is $again->{headers}{'idempotency-replayed'}, '?1', 'the same request again is told so';
    is $again->{body}, $answer->{body}, '... byte for byte';
    is_problem ask(POST => 'venues', {name => 'B'}, 'Idempotency-Key' => '"v-1"'), 422, 'idempotency_key_reused', 'another body';
    is $db->value('SELECT COUNT(*) FROM venue'), 1, 'made once';

    my $map = ask(POST => 'maps', {venue => 1, name => 'Stalls'});
    is $map->{status}, 201, 'a map';
    is $map->{headers}{location}, '/v1/admin/maps/1', 'with its location';
    is $map->{headers}{etag}, '"v1"', 'and its version';
    is_deeply $map->{json}, {map => 1, venue => 1, name => 'Stalls', version => 1, seats => 0, sections => [],
                             pools => [], performances => []}, 'empty';
    my $same = ask(GET => 'maps/1');
    is $same->{headers}{etag} . $same->{body}, '"v1"' . $map->{body}, 'it can be read';
    is_deeply ask(GET => 'venues')->{json}{venues},
        [{venue => 1, name => "Op\x{e9}ra \"1\"", maps => [{map => 1, name => 'Stalls'}]}], 'and is listed';
    is_problem ask(GET => 'maps/7'), 404, 'no_such_map', 'another map';
    is_problem ask(POST => 'maps', {venue => 7, name => 'x'}), 404, 'no_such_venue', 'a map of no venue';
};

subtest 'bodies' => sub {
    my %type = ('Content-Type' => 'application/json');
    is_problem ask(POST => 'venues', 'name=x', 'Content-Type' => 'application/x-www-form-urlencoded'),
        415, 'unsupported_media_type', 'a form';
    is_problem ask(POST => 'venues', '{}', 'Content-Type' => undef), 415, 'unsupported_media_type', 'of no type';
    is_malformed ask(POST => 'venues', '', %type), qr/not JSON/, 'nothing';
    is_malformed ask(POST => 'venues', '{"name":"x"', %type), qr/not JSON/, 'cut short';
    is_malformed ask(POST => 'venues', '{"name":"x"}{}', %type), qr/not JSON|an object/, 'two objects';
    is_malformed ask(POST => 'venues', '[]', %type), qr/an object/, 'a list';
    is_malformed ask(POST => 'venues', '{"name":{}}', %type), qr/an object of single values/, 'an object in it';
    is_malformed ask(POST => 'venues', "{\"name\":\"\xff\"}", %type), qr/not JSON/, 'no UTF-8';
    is_malformed ask(POST => 'venues', {}), qr/"name" is missing/, 'a missing member';
    is_malformed ask(POST => 'venues', '{"name":"x","name":"x"}', %type), qr/"name" appears twice/, 'a repeated one';
    is_malformed ask(POST => 'venues', {name => 'x', size => 1}), qr/no member "size"/, 'an unknown one';
    is_malformed ask(POST => 'venues', {name => 7}), qr/"name" is a text of 1 to 200 characters/, 'another type';
    is_malformed ask(POST => 'venues', {name => 'x' x 201}), qr/1 to 200/, 'too long';
    is_malformed ask(POST => 'venues', {name => ''}), qr/1 to 200/, 'empty';
    is_malformed ask(POST => 'venues', {name => "a\nb"}), qr/on one line/, 'two lines';
    is_malformed ask(POST => 'venues', {name => $_}), qr/without a space at either end/, "\"$_\"" for ' ', 'x ', ' x';
    is ask(POST => 'venues', {name => "\x{1f3ad}" x 200})->{status}, 201, '200 characters of any kind are taken';
    is_malformed ask(POST => 'maps', '{"venue":1.5,"name":"x"}', %type), qr/"venue" is a whole number/, 'a fraction';
    is_malformed ask(POST => 'maps', '{"venue":' . '9' x 30 . ',"name":"x"}', %type), qr/from 1 to 4294967295/, 'a huge number';
    is_problem ask(POST => 'venues', {name => 'x' x 20_000}), 413, 'too_large', 'a long body';
};

subtest 'a performance' => sub {
    my $map = $operator->make_map($HALL . "\n");
    my $all = {map => $map, name => 'Tosca', room => 'hall', starts_at => '2030-12-01T19:00:00+09:00',
               sale_opens_at => '2020-01-01T00:00:00Z', sale_closes_at => '2099-12-31T23:59:59Z',
               hold_ttl_ms => 60_000, hold_max_ms => 90_000, max_per_user => 4, buckets => 4};
    my $answer = ask(POST => 'performances', $all);
    is $answer->{status}, 201, 'made' or diag $answer->{body};
    my $number = $answer->{json}{performance};
    is $answer->{headers}{location}, "/v1/admin/performances/$number", 'with its location';
    is $answer->{headers}{etag}, '"v1"', 'and its version';
    my %told = (%$all, performance => $number, version => 1, starts_at => '2030-12-01T10:00:00.000Z',
                sale_opens_at => '2020-01-01T00:00:00.000Z', sale_closes_at => '2099-12-31T23:59:59.000Z');
    delete $told{buckets};
    is_deeply $answer->{json}, \%told, 'as it was asked for, its times in UTC';
    is_deeply ask(GET => "performances/$number")->{json}, \%told, 'and read';
    is_deeply ask(GET => "maps/$map")->{json}{performances}, [$number], 'its map knows it';
    is_deeply $db->rows("SELECT COUNT(*), SUM(state = 'free'), SUM(version) FROM seat WHERE performance_id = $number"),
        [[80, 80, 0]], 'it has all seats, free';
    is shown($number, 'B-40'), 'free 0', 'visitors see them at once';
    is hold(1, $number, 'A-1')->{status}, 201, 'and may hold them';

    my $few = ask(POST => 'performances', {map => $map, name => 'Few', room => 'hall:2'})->{json};
    is_deeply [@$few{qw(starts_at sale_opens_at sale_closes_at hold_ttl_ms hold_max_ms max_per_user)}],
        [undef, undef, undef, 300_000, 600_000, undef], 'what is not said';
    for (['10:00:00.000Z', '10:00:00.000Z'], ['19:00:00.25+09:00', '10:00:00.250Z'], ['10:00:00.9999999Z', '10:00:00.999Z']) {
        my ($sent, $told) = map { "2030-12-01T$_" } @$_;
        is ask(POST => 'performances', {map => $map, name => 'Few', room => 'hall:2', starts_at => $sent})->{json}{starts_at},
            $told, "a time may be told in the way it is: $sent";
    }
    is_problem ask(GET => 'performances/999'), 404, 'no_such_performance', 'another one';
};

subtest 'standing places' => sub {
    my $number = $operator->make_performance($operator->make_map($FLOOR), buckets => 4);
    is_deeply $db->rows("SELECT bucket, capacity, held, sold, version FROM pool_bucket WHERE performance_id = $number ORDER BY bucket"),
        [[0, 6, 0, 0, 0], [1, 5, 0, 0, 0], [2, 5, 0, 0, 0], [3, 5, 0, 0, 0]], 'are split over the buckets';
    $number = $operator->make_performance($operator->make_map("type,pool,capacity,tier\npool,box,3,standing\n"));
    is_deeply $db->rows("SELECT capacity FROM pool_bucket WHERE performance_id = $number"), [[1], [1], [1]],
        'of which none is empty';
};

subtest 'performances that cannot be' => sub {
    my $map = $operator->make_map($HALL);
    my $make = sub { return ask(POST => 'performances', {map => $map, name => 'x', room => 'hall', @_}) };
    is_problem $make->(map => 999), 404, 'no_such_map', 'of no map';
    is_problem $make->(map => $operator->make_map), 409, 'map_empty', 'of an empty one';
    is_malformed ask(POST => 'performances', {name => 'x', room => 'hall'}), qr/"map", "room" and "name"/, 'without a map';
    is_malformed $make->(room => $_), qr/"room" is/, "room $_" for 'a b', ':', 'a:', 'a:b:c', "a\x{e9}", 'x' x 65;
    is_malformed $make->(sale_opens_at => $_), qr/"sale_opens_at" is a time like/, "time $_"
        for 'now', '2030-12-01T10:00:00', '2030-02-30T10:00:00Z', '1970-01-01T00:00:00Z', '1970-01-01T00:00:00+09:00',
            '2030-12-01 10:00 Europe/Berlin', '2030-12-01T10:00:00.Z', '2030-12-01T10:00.5Z', '2030-12-01T10:00:00.5 Z';
    is_malformed $make->(sale_opens_at => '2030-01-01T10:00:00Z', sale_closes_at => '2030-01-01T19:00:00+09:00'),
        qr/"sale_opens_at" is before/, 'a window of nothing, seen in UTC';
    is_malformed $make->(hold_ttl_ms => $_), qr/"hold_ttl_ms" is a whole number from 1000 to 86400000/, "ttl $_" for 999, 86_400_001;
    is_malformed $make->(hold_ttl_ms => 60_000, hold_max_ms => 59_999), qr/"hold_max_ms", the longest/, 'a maximum below the ttl';
    is_malformed $make->(max_per_user => $_), qr/"max_per_user" is .* 1 to 65535, or null/, "limit $_" for 0, 65_536;
    is_malformed $make->(buckets => $_), qr/"buckets" is .* 1 to 64/, "$_ buckets" for 0, 65;
    is $db->value("SELECT COUNT(*) FROM performance WHERE map_id = $map"), 0, 'none was made';
};

subtest 'changing a performance' => sub {
    my $number = $operator->make_performance($operator->make_map($HALL), max_per_user => 4);
    my $path = "performances/$number";
    my %now = ('If-Match' => '"v1"');
    is_problem ask(POST => $path, {name => 'x'}), 428, 'precondition_required', 'without If-Match';
    is_problem ask(POST => $path, {name => 'x'}, 'If-Match' => 'v1'), 400, 'malformed', 'not a tag';
    my $stale = ask(POST => $path, {name => 'x'}, 'If-Match' => '"v2"');
    is is_problem($stale, 412, 'precondition_failed', 'another version')->{version}, 1, '... is told what it is now';
    is $stale->{headers}{etag}, '"v1"', '... as a tag, too';
    is_problem ask(POST => $path, {name => 'x'}, 'If-Match' => 'W/"v1"'), 412, 'precondition_failed', 'a weak tag matches nothing';
    is_problem ask(POST => $path, {$_ => $_ eq 'room' ? 'other' : 1}, %now), 422, 'unchangeable', "$_ stays"
        for qw(map room buckets);
    is_malformed ask(POST => $path, {}, %now), qr/no member is given/, 'nothing to change';
    is_malformed ask(POST => $path, {hold_ttl_ms => 86_400_000}, %now), qr/hold_max_ms/, 'against what is there';
    is ask(GET => $path)->{headers}{etag}, '"v1"', 'nothing was changed so far';

    my $answer = ask(POST => $path, {name => 'Turandot', sale_opens_at => '2099-01-01T00:00:00Z'},
                     'If-Match' => '"v7", "v1"');
    is "$answer->{status} $answer->{headers}{etag}", '200 "v2"', 'changed, its tag among others';
    is_deeply $answer->{json}, ask(GET => $path)->{json}, 'and told as it is';
    is ask(POST => $path, {name => 'Turandot'}, 'If-Match' => '"v7"', 'if-match' => '"v2"')->{status}, 200, 'tags in two lines';
    is $answer->{json}{name} . $answer->{json}{sale_opens_at}, 'Turandot2099-01-01T00:00:00.000Z', '... in what was given';
    is $answer->{json}{max_per_user}, 4, '... and nothing else';
    is_problem hold(2, $number, 'A-1'), 409, 'not_on_sale', 'this worker knows at once';
    is ask(POST => $path, {sale_opens_at => undef}, 'If-Match' => '*')->{json}{sale_opens_at}, undef, 'null takes away; * is any';
    is hold(2, $number, 'A-1', 'A-2')->{status}, 201, 'and it is on sale again';
    is_problem ask(POST => 'performances/999', {name => 'x'}, 'If-Match' => '*'), 404, 'no_such_performance', '* of nothing';

    ask(POST => $path, {max_per_user => 1}, 'If-Match' => '*');
    is_deeply $db->rows("SELECT held, max_units FROM user_limit WHERE performance_id = $number"), [[2, 2]],
        'who has more than a lower limit keeps it';
    ask(POST => $path, {max_per_user => 3}, 'If-Match' => '*');
    is_deeply $db->rows("SELECT held, max_units FROM user_limit WHERE performance_id = $number"), [[2, 3]], 'a higher one is given to all';
};

subtest 'a seat, blocked and freed' => sub {
    my $number = $operator->make_performance($operator->make_map($HALL));
    my $path = "performances/$number/seats";
    my $seat = ask(GET => "$path/A-1");
    is "$seat->{status} $seat->{headers}{etag}", '200 "v0"', 'a seat and its version';
    is_deeply $seat->{json}, {performance => $number, seat => 'A-1', state => 'free', version => 0}, 'free';
    is_problem ask(GET => "$path/Z-9"), 404, 'no_such_seat', 'another';
    is_problem ask(GET => "$path/" . 'x' x 40), 404, 'no_such_seat', 'one of a long name';
    is_problem ask(GET => 'performances/999/seats/A-1'), 404, 'no_such_performance', 'of no performance';

    is_problem ask(POST => "$path/A-1/block"), 428, 'precondition_required', 'without If-Match';
    is_malformed ask(POST => "$path/A-1/block", {seat => 'A-1'}, 'If-Match' => '"v0"'), qr/without a body/, 'with a body';
    my $stale = ask(POST => "$path/A-1/block", undef, 'If-Match' => '"v5"');
    is_deeply is_problem($stale, 412, 'precondition_failed', 'a stale version')->{conflicts},
        [{seat => 'A-1', state => 'free', version => 0}], '... with the seat as it is';
    is $stale->{headers}{etag}, '"v0"', '... and its tag';
    is_problem ask(POST => "$path/A-1/free", undef, 'If-Match' => '"v0"'), 409, 'seat_not_blocked', 'a free one is not freed';

    my $blocked = ask(POST => "$path/A-1/block", undef, 'If-Match' => '"v0"', 'Idempotency-Key' => '"b"');
    is "$blocked->{status} $blocked->{headers}{etag}", '200 "v1"', 'blocked' or diag $blocked->{body};
    is_deeply $blocked->{json}, {performance => $number, seat => 'A-1', state => 'blocked', version => 1}, 'as it is told';
    is shown($number, 'A-1'), 'blocked 1', 'visitors see it at once';
    is_deeply is_problem(hold(1, $number, 'A-1'), 409, 'seat_unavailable', 'and may not hold it')->{conflicts},
        [{seat => 'A-1', state => 'blocked', version => 1}], '... and are told why';
    my $again = ask(POST => "$path/A-1/block", undef, 'If-Match' => '"v0"', 'Idempotency-Key' => '"b"');
    is "$again->{status} $again->{headers}{etag} $again->{headers}{'idempotency-replayed'} $again->{body}",
        "200 \"v1\" ?1 $blocked->{body}", 'the same request again has no other effect';
    is $db->value("SELECT version FROM seat WHERE performance_id = $number AND seat_no = 0"), 1, '... in the database either';
    is_problem ask(POST => "$path/A-1/block", undef, 'If-Match' => '*'), 409, 'seat_unavailable', 'a blocked one is not blocked';
    is ask(POST => "$path/A-1/free", undef, 'If-Match' => '"v9", "v1"')->{headers}{etag}, '"v2"', 'freed';
    is shown($number, 'A-1'), 'free 2', '... for all to see';
    is hold(1, $number, 'A-1')->{status}, 201, '... and to hold';
};

subtest 'held, lapsed and sold seats' => sub {
    my $number = $operator->make_performance($operator->make_map($HALL));
    my $path = "performances/$number/seats";
    is hold(1, $number, 'A-1')->{status}, 201, 'a held seat';
    my $held = ask(GET => "$path/A-1")->{json};
    is "$held->{state} $held->{version}", 'held 1', 'is read as that';
    like $held->{expires_at}, qr/^20\d\d-.*\.\d{3}Z$/, '... with its end';
    is_problem ask(POST => "$path/A-1/$_", undef, 'If-Match' => '"v1"'), 409, $_ eq 'block' ? 'seat_unavailable' : 'seat_not_blocked',
        "and not to be ${_}ed" for qw(block free);

    $db->do("UPDATE seat SET expires_at = '2020-01-01' WHERE performance_id = $number AND seat_no = 0;
             UPDATE hold SET expires_at = '2020-01-01' WHERE performance_id = $number");
    is ask(GET => "$path/A-1")->{json}{state}, 'free', 'once its hold has run out it is free';
    my $version = ask(GET => "$path/A-1")->{json}{version};
    my $answer = ask(POST => "$path/A-1/block", undef, 'If-Match' => '*');
    is "$answer->{status} $answer->{json}{state}", '200 blocked', 'and can be blocked' or diag $answer->{body};
    cmp_ok $answer->{json}{version}, '>', $version - 1, 'with a higher version';

    $db->do("UPDATE seat SET state = 'sold', order_id = UNHEX(LPAD('1', 32, '0')), version = 1
             WHERE performance_id = $number AND seat_no = 1;
             INSERT INTO sale (performance_id, seat_no, order_id) VALUES ($number, 1, UNHEX(LPAD('1', 32, '0')))");
    is_deeply is_problem(ask(POST => "$path/A-2/block", undef, 'If-Match' => '"v1"'), 409, 'seat_unavailable', 'a sold one is not')->{conflicts},
        [{seat => 'A-2', state => 'sold', version => 1}], '... as is told';
};

subtest 'many seats' => sub {
    my $number = $operator->make_performance($operator->make_map($HALL));
    my $path = "performances/$number/seats";
    my $list = sub { my ($version, @names) = @_; return {seats => [map { {seat => $_, version => $version} } @names]} };
    my $answer = ask(POST => "$path/block", $list->(0, 'B-2', 'A-10', 'A-9'));
    is $answer->{status}, 200, 'blocked' or diag $answer->{body};
    is_deeply $answer->{json}, {performance => $number, seats => [map { {seat => $_, state => 'blocked', version => 1} } 'A-10', 'A-9', 'B-2']}, 'all';
    is shown($number, 'A-9') . shown($number, 'B-2'), 'blocked 1blocked 1', 'and seen';

    my $stale = is_problem ask(POST => "$path/block", $list->(0, 'A-1', 'A-9', 'A-2')), 412, 'precondition_failed', 'one of another version';
    is_deeply $stale->{conflicts}, [{seat => 'A-9', state => 'blocked', version => 1}], '... is the one that is told';
    is_deeply $db->rows("SELECT SUM(state = 'blocked'), SUM(version) FROM seat WHERE performance_id = $number"), [[3, 3]], 'and none was blocked';
    is hold(1, $number, 'A-1')->{status}, 201, '... held';
    my $held = is_problem ask(POST => "$path/block", {seats => [{seat => 'A-1', version => 1}, {seat => 'A-2', version => 0}]}),
        409, 'seat_unavailable', 'one that is held';
    is_deeply [map { "$_->{seat} $_->{state}" } @{$held->{conflicts}}], ['A-1 held'], '... is told';
    is shown($number, 'A-2'), 'free 0', 'and the other stays';
    is_problem ask(POST => "$path/free", $list->(1, 'A-9', 'A-1')), 409, 'seat_not_blocked', 'the same for freeing';
    is ask(POST => "$path/free", $list->(1, 'A-9', 'A-10', 'B-2'))->{status}, 200, 'freed';
    is shown($number, 'A-10'), 'free 2', 'and seen';

    is_problem ask(POST => "$path/block", $list->(0, 'A-3', 'X-1')), 404, 'no_such_seat', 'a seat that is not there';
    is_problem ask(POST => "$path/block", {seats => [{seat => 'A-3'}]}), 428, 'precondition_required', 'without a version';
    is_problem ask(POST => 'performances/999/seats/block', $list->(0, 'A-3')), 404, 'no_such_performance', 'of no performance';
    is_malformed ask(POST => "$path/block", $list->(0, 'A-3', 'A-4', 'A-3')), qr/"A-3" is named twice/, 'twice';
    is_malformed ask(POST => "$path/block", {seats => []}), qr/no seat is named/, 'none';
    is_malformed ask(POST => "$path/block", {seats => ['A-1']}), qr/the body is \{"seats"/, 'another form';
    is_malformed ask(POST => "$path/block", {seats => [{seat => 'A 1', version => 0}]}), qr/a seat's name/, 'another name';
    is_malformed ask(POST => "$path/block", {seats => [{seat => 'A-1', version => -1}]}), qr/"version" is/, 'another number';
    is_malformed ask(POST => "$path/block", {}), qr/the body is \{"seats"/, 'nothing';
    is_malformed ask(POST => "$path/block", {seats => [{version => 0}]}), qr/"seat" is missing/, 'without a name';
    is shown($number, 'A-3'), 'free 0', 'nothing came of it';
};

# So many that the server makes a table of the names and joins it.
subtest 'the longest list' => sub {
    my @names = map { my $row = $_; map { "$row-$_" } 1 .. 200 } 1 .. 11;
    my $number = $operator->make_performance($operator->make_map("section,row,seat,tier\n" . join '', map { 'H,' . tr/-/,/r . ",g\n" } @names));
    my $list = sub { my ($version) = @_; return {seats => [map { {seat => $_, version => $version} } reverse @names[100 .. 2099]]} };
    my $states = sub { return $db->rows("SELECT state, version, COUNT(*) FROM seat WHERE performance_id = $number GROUP BY 1, 2 ORDER BY 1, 2") };
    my $blocked = ask(POST => "performances/$number/seats/block", $list->(0));
    is $blocked->{status}, 200, '2000 seats are blocked' or diag $blocked->{body};
    is_deeply [sort map { $_->{seat} } @{$blocked->{json}{seats}}], [sort @names[100 .. 2099]], '... those that were named';
    is_deeply $states->(), [['free', 0, 200], ['blocked', 1, 2000]], '... and no other';
    my $one = $list->(1);
    $one->{seats}[700]{version} = 0;
    is @{is_problem(ask(POST => "performances/$number/seats/free", $one), 412, 'precondition_failed', 'one of another version')->{conflicts}}, 1,
        '... is found among them';
    is_deeply $states->(), [['free', 0, 200], ['blocked', 1, 2000]], 'and none is freed';
    is ask(POST => "performances/$number/seats/free", $list->(1))->{status}, 200, 'all are freed';
    is_deeply $states->(), [['free', 0, 200], ['free', 2, 2000]], '... as was asked';
};

subtest 'twenty operators block one seat' => sub {
    my $number = $operator->make_performance($operator->make_map($HALL));
    my $answers = http_many($worker->target,
        [map { $operator->request(POST => "performances/$number/seats/A-1/block", undef, 'If-Match' => '"v0"') } 1 .. 20],
        concurrency => 20);
    my %n;
    $n{"$_->{status} " . ($_->{json}{code} // '')}++ for @$answers;
    is_deeply \%n, {'200 ' => 1, '412 precondition_failed' => 19}, 'one does, the others see a later version';
    is $db->value("SELECT version FROM seat WHERE performance_id = $number AND seat_no = 0"), 1, 'once';
};

subtest 'lists and holds cross' => sub {
    my $number = $operator->make_performance($operator->make_map($HALL));
    my @names = map { "A-$_" } 1 .. 30;
    my @blocks = map {
        my $n = $_;
        $operator->request(POST => "performances/$number/seats/block",
            {seats => [map { {seat => $_, version => 0} } $n % 2 ? @names : reverse @names]});
    } 1 .. 20;
    my @holds = map {
        ['POST', "/v1/performances/$number/holds", [$worker->headers(number => 500 + $_), 'Idempotency-Key' => "\"x-$_\""],
         {seats => [reverse @names[$_ % 20, $_ % 20 + 1]]}];
    } 1 .. 40;
    my $answers = http_many($worker->target, [map { ($blocks[$_ - 1], @holds[2 * $_ - 2, 2 * $_ - 1]) } 1 .. 20], concurrency => 60);
    my %n;
    $n{$_->{status}}++ for @$answers;
    is_deeply [grep { !/^(?:200|201|409|412)$/ } keys %n], [], 'none waits for ever, none fails' or diag explain \%n;
    my $blocked = grep { $_->{status} == 200 } @$answers;
    my ($rows, $held) = @{$db->rows("SELECT SUM(state = 'blocked'), SUM(state = 'held') FROM seat WHERE performance_id = $number")->[0]};
    is $rows, $blocked ? 30 : 0, 'a list is blocked as a whole or not at all';
    is $held, 2 * grep({ $_->{status} == 201 } @$answers), 'what is held was told to somebody';
};

# The last, because a worker without Redis would keep house for both.
subtest 'another worker' => sub {
    $worker->stop;
    my $redis = Ticket::Redis->new(dir => temp_dir());
    my %redis = (redis => {socket => $redis->socket});
    my @workers = map {
        Ticket::Worker->new(dir => temp_dir(), db => $db, name => "one-of-two-$_", %redis,
                            config => {admin_token_file => $operator->file, refresh_s => 60});
    } 1, 2;
    $operator->of($workers[0]);
    my $number = $operator->make_performance($operator->make_map($HALL));
    my $other = sub {
        my $answer = $workers[1]->ask(1, GET => "/v1/performances/$number/seats");
        return $answer->{json}{seats}[0]{state} // $answer->{status};
    };
    is $other->(), 'free', 'knows a new performance when it is asked for it';
    ask(POST => "performances/$number/seats/A-1/block", undef, 'If-Match' => '"v0"');
    eventually { $other->() eq 'blocked' } 10, 'and is told of a blocked seat';
};

done_testing;
