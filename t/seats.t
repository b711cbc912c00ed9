# The map everybody sees: the performance, its geometry, its seats in both
# forms, and what spares the transfer of what a client has already.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use MIME::Base64 qw(decode_base64);
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_hall(id => 1, room => 'hall', name => 'Die Zauberflöte', max_per_user => 4,
    ttl_ms => 400_000, max_ms => 500_000, starts_at => "'2026-12-01 19:00:00.5'",
    sale_opens_at => "'2020-01-01 08:00:00'",
    sections => [{name => 'P', rows => 2, seats_per_row => 3, focal => [7, -8]},
                 {name => 'Rang ♫', rows => 1, seats_per_row => 2, tier => 'gold'}],
    seat_name => sub { substr(join('-', @_), 0, 1) . "-$_[1]-$_[2]" },
    pools => [{name => 'floor', capacity => 500, buckets => 4}, {name => 'lawn', capacity => 3}]);
$db->add_hall(id => 2, room => 'hall:20261201', sections => [{name => 'P', rows => 1, seats_per_row => 1}]);
$db->add_hall(id => 3, room => 'hall', name => 'Large',
    sections => [{name => 'S', rows => 50, seats_per_row => 100}]);
$db->add_hall(id => 4, room => 'hall', sections => [{name => 'P', rows => 1, seats_per_row => 2}]);
$db->add_hall(id => 5, room => 'hall', sections => [{name => 'P', rows => 1, seats_per_row => 2}]);
our $worker = worker('worker', 3600);

# A worker that reads halls again so often.
sub worker {
    my ($name, $refresh_s) = @_;
    return Ticket::Worker->new(dir => temp_dir(), db => $db, name => $name, config => {refresh_s => $refresh_s});
}

my $COMPACT = 'application/vnd.ticket.seats+json';
my $key = 0;

sub ask {
    my ($path, @headers) = @_;
    return http($worker->target, GET => $path, [$worker->headers, @headers]);
}

sub seats { return ask('/v1/performances/1/seats', @_) }

sub post {
    my ($path, $body) = @_;
    return http($worker->target, POST => $path, [$worker->headers, 'Idempotency-Key' => '"' . ++$key . '"'], $body);
}

sub is_problem {
    my ($answer, $status, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is "$answer->{status} " . ($answer->{json}{code} // ''), "$status $code", $name;
}

# The states of a compact answer, a digit a seat.
sub states {
    my ($answer, $n) = @_;
    my @bytes = unpack 'C*', decode_base64($answer->{json}{states});
    return join '', map { $bytes[$_ / 4] >> $_ % 4 * 2 & 3 } 0 .. $n - 1;
}

my $performance = ask('/v1/performances/1');
my $map = $performance->{json}{map} // '';

subtest 'the performance' => sub {
    is $performance->{status}, 200, 'is told';
    like $map, qr{^/v1/performances/1/map/[0-9a-f]{32}$}, 'with the address of its map';
    is_deeply $performance->{json}, {
        performance => 1, name => "Die Zauberfl\x{f6}te", room => 'hall', starts_at => '2026-12-01T19:00:00.500Z', sale_opens_at => '2020-01-01T08:00:00.000Z',
        sale_closes_at => undef, hold_ttl_ms => 400_000, hold_max_ms => 500_000, max_per_user => 4, map => $map,
    }, 'and all that it is';
    is ask('/v1/performances/4')->{json}{max_per_user}, undef, 'no limit is null';
    is_problem ask('/v1/performances/2'), 404, 'no_such_performance', 'of another room';
    is_problem ask('/v1/performances/77'), 404, 'no_such_performance', 'unknown';
    is http($worker->target, GET => '/v1/performances/1')->{status}, 401, 'nothing without a pass';
};

subtest 'the geometry' => sub {
    my $answer = ask($map);
    is $answer->{status}, 200, 'is there';
    is $answer->{headers}{'cache-control'}, 'public, max-age=31536000, immutable', 'for ever';
    my ($hash) = $map =~ /(\w+)$/;
    is $answer->{headers}{etag}, qq("$hash"), 'and tagged by its hash';
    is_deeply $answer->{json}, {
        map => $hash, tiers => ['gold', 'standard', 'standing'],
        sections => [
            {name => 'P', focal => [7, -8], rows => [
                {row => 1, first => 0, seats => [map { ["P-1-$_", $_, 1, $_ * 100, 100] } 1 .. 3]},
                {row => 2, first => 3, seats => [map { ["P-2-$_", $_, 1, $_ * 100, 200] } 1 .. 3]}]},
            {name => "Rang \x{266b}", focal => [150, 100], rows => [
                {row => 1, first => 6, seats => [map { ["R-1-$_", $_, 0, $_ * 100, 100] } 1 .. 2]}]}],
        pools => [{pool => 'floor', tier => 2, capacity => 500}, {pool => 'lawn', tier => 2, capacity => 3}],
    }, 'with every seat in its place';
    my $again = ask($map, 'If-None-Match' => qq(W/"x", W/"$hash"));
    is "$again->{status} $again->{body}", '304 ', 'is not sent twice';
    is $again->{headers}{'cache-control'}, 'public, max-age=31536000, immutable', 'and stays for ever';
    is_problem ask('/v1/performances/1/map/' . '0' x 32), 404, 'no_such_map', 'another hash';
    is_problem ask('/v1/performances/2/map/' . $hash), 404, 'no_such_performance', 'another room';
    is ask('/v1/performances/1')->{json}{map}, $map, 'the address stays the same';
};

subtest 'the seats' => sub {
    my $answer = seats();
    is $answer->{status}, 200, 'are there';
    is $answer->{headers}{'content-type'}, 'application/json', 'as JSON';
    is $answer->{headers}{'cache-control'}, 'no-cache', 'to be asked for each time';
    is $answer->{headers}{vary}, 'Accept', 'in more forms than one';
    is_deeply $answer->{json}, {
        performance => 1,
        seats => [map { {seat => $_, state => 'free', version => 0} }
                  (map { my $row = $_; map { "P-$row-$_" } 1 .. 3 } 1, 2), 'R-1-1', 'R-1-2'],
        pools => [{pool => 'floor', left => 500, capacity => 500}, {pool => 'lawn', left => 3, capacity => 3}],
    }, 'all free';
    my $compact = seats(Accept => $COMPACT);
    is $compact->{headers}{'content-type'}, $COMPACT, 'and short';
    is_deeply $compact->{json},
        {performance => 1, map => $map, event => '', states => 'AAA=', pools => [500, 3]}, 'two bits a seat';
    is http($worker->target, HEAD => '/v1/performances/1/seats', [$worker->headers])->{status}, 200, 'HEAD is GET';
    is_problem ask('/v1/performances/2/seats'), 404, 'no_such_performance', 'of another room';
    is_problem http($worker->target, POST => '/v1/performances/1/seats', [$worker->headers], {}), 405,
        'method_not_allowed', 'only to look at';
};

subtest 'which form' => sub {
    my %form = ('' => 'application/json', $COMPACT => $COMPACT, 'application/json' => 'application/json',
        '*/*' => 'application/json', 'application/*;q=0.1' => 'application/json',
        "$COMPACT, application/json;q=0.5" => $COMPACT, "application/json, $COMPACT;q=0.5" => 'application/json',
        "$COMPACT, */*" => $COMPACT, "*/*, $COMPACT;q=0" => 'application/json',
        'application/json;q=0, */*' => $COMPACT, "text/html, $COMPACT;q=0.1" => $COMPACT);
    is seats(Accept => $_)->{headers}{'content-type'}, $form{$_}, "Accept: $_" for sort keys %form;
    is_problem seats(Accept => $_), 406, 'not_acceptable', "Accept: $_"
        for 'text/html', 'application/json;q=0', "$COMPACT;q=0, application/json;q=0.000", 'image/*';

    my $lines = sub { return http($worker->target, GET => '/v1/performances/1/seats', [$worker->headers, @_]) };
    my $answer = $lines->(Accept => 'text/html', Accept => 'application/json;q=0.5', accept => $COMPACT);
    is $answer->{headers}{'content-type'}, $COMPACT, 'a list in three lines';
    is $lines->(Accept => '*/*', map { ('If-None-Match' => $_) } '"x"', seats()->{headers}{etag}, '"y"')->{status}, 304, 'of tags, too';
    my @long = map { (Accept => 'text/' . 'x' x 1000) } 1 .. 4;
    is $lines->(@long, Accept => '*/*')->{status}, 200, 'of up to 4096 bytes';
    is_problem $lines->(@long, Accept => '*/*', Accept => 'text/' . 'x' x 100), 400, 'malformed', 'and no more';
};

subtest 'ETag' => sub {
    my ($json, $compact) = (seats(), seats(Accept => $COMPACT));
    my ($tag, $compact_tag) = map { $_->{headers}{etag} } $json, $compact;
    like $tag, qr/^"j[0-9a-f]{16}"$/, 'of the long form';
    like $compact_tag, qr{^W/"c[0-9a-f]{16}"$}, 'of the short one';
    for ([$tag], ["W/$tag"], [qq("a", $tag)], ['*'], [$compact_tag, $COMPACT], [substr($compact_tag, 2), $COMPACT]) {
        my ($known, $accept) = @$_;
        my $answer = seats('If-None-Match' => $known, Accept => $accept // '*/*');
        is "$answer->{status} $answer->{body}", '304 ', "known: $known";
        is_deeply [@{$answer->{headers}}{qw(etag cache-control vary)}],
            [$accept ? $compact_tag : $tag, 'no-cache', 'Accept'], '... and told what stands';
        ok !exists $answer->{headers}{'content-type'}, '... of nothing';
    }
    is seats('If-None-Match' => $_)->{status}, 200, "not known: $_" for $compact_tag, '"x"', substr($tag, 1, 5), 'W/';

    is post('/v1/performances/1/holds', {seats => ['P-1-2'], pools => [{pool => 'floor', quantity => 2}]})->{status},
        201, 'somebody holds a seat and two places';
    my $after = seats('If-None-Match' => $tag);
    is $after->{status}, 200, 'the tag is no longer good';
    isnt $after->{headers}{etag}, $tag, 'there is another';
    is_deeply $after->{json}{seats}[1], {seat => 'P-1-2', state => 'held', version => 1}, 'the seat is held';
    is $after->{json}{pools}[0]{left}, 498, 'two places fewer';
    my $short = seats(Accept => $COMPACT, 'If-None-Match' => $compact_tag);
    is states($short, 8), '01000000', 'in the short form too';
    is_deeply $short->{json}{pools}, [498, 3], 'and the places';
};

# A hold of which there is no row is one that nobody sweeps.
subtest 'a hold that runs out' => sub {
    my $path = '/v1/performances/5/seats';
    $db->do("UPDATE seat SET state = 'held', version = 1, hold_id = REPEAT('x', 16),
                 expires_at = UTC_TIMESTAMP(3) + INTERVAL 4 SECOND WHERE performance_id = 5 AND seat_no = 0");
    my $held = ask($path);
    is $held->{json}{seats}[0]{state}, 'held', 'is shown as one';
    eventually { ask($path)->{json}{seats}[0]{state} eq 'free' } 10, 'until it has run out, without an event';
    my $free = ask($path);
    isnt $free->{headers}{etag}, $held->{headers}{etag}, 'which the tag says too';
    is states(ask($path, Accept => $COMPACT), 2), '00', 'and the short form';
    is $free->{json}{seats}[0]{version}, 1, 'nobody has touched the seat';
    $db->do("UPDATE seat SET state = 'free', version = 2, hold_id = NULL, expires_at = NULL
             WHERE performance_id = 5 AND seat_no = 0");
};

subtest 'a pool that grows' => sub {
    local $worker = worker('refreshing', 1);
    is ask('/v1/performances/1')->{json}{map}, $map, 'all workers name the same map';
    $db->do("UPDATE map_pool SET capacity = 600 WHERE name = 'floor';
             UPDATE pool_bucket SET capacity = capacity + 100, version = version + 1
             WHERE performance_id = 1 AND pool_no = 0 AND bucket = 0");
    eventually { ask('/v1/performances/1')->{json}{map} ne $map } 10, 'is another map';
    my $new = ask('/v1/performances/1')->{json}{map};
    is ask($new)->{json}{pools}[0]{capacity}, 600, 'with the places there are now';
    is_problem ask($map), 404, 'no_such_map', 'the old one is gone';
    my $compact = seats(Accept => $COMPACT)->{json};
    is $compact->{map}, $new, 'the seats name the new one';
    is $compact->{pools}[0], 598, 'and the places left';
};

subtest 'a large hall' => sub {
    my @path = ('/v1/performances/3/seats', [$worker->headers]);
    my $answers = http_many($worker->target, [map { [GET => @path] } 1 .. 40], concurrency => 20);
    is_deeply [grep { $_->{status} != 200 || $_->{body} ne $answers->[0]{body} } @$answers], [],
        'forty who come at once get the same';
    is scalar @{$answers->[0]{json}{seats}}, 5000, 'all of it';
    is post('/v1/performances/3/holds', {seats => ['S-50-100']})->{status}, 201, 'its last seat is held';
    my $after = ask($path[0]);
    is_deeply $after->{json}{seats}[4999], {seat => 'S-50-100', state => 'held', version => 1}, 'and seen at once';
    is_deeply [grep { $_->{state} ne 'free' } @{$after->{json}{seats}}[0 .. 4998]], [], 'no other';
};

done_testing;
