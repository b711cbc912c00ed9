# docs/openapi.yaml is what the worker does: every operation is asked for with
# every example and every answer it may have, and what comes back is judged by
# the document (t/openapi/validate.mjs).  So an answer, a code, a header or a
# member that is not documented fails, and so does a documented one that never
# came.  The routes and codes in the worker's sources are those of the document.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use IPC::Open2 qw(open2);
use JSON::PP ();
use Ticket::EventStream;
use Ticket::Http qw(http_many);
use Ticket::MariaDB;
use Ticket::Operator;
use Ticket::Redis;
use Ticket::Worker;

my $root = root_dir();
my $json = JSON::PP->new->utf8->canonical;

# Documented answers that are not provoked, and why.
my %NOT_PROVOKED = ();

# What the document says, after it was judged itself.
sub judge {
    my (@exchanges) = @_;
    my ($status, $out, $err) = run('node', "$root/t/openapi/validate.mjs", "$root/docs/openapi.yaml", @exchanges);
    is $status, 0, 'the document can be read' or BAIL_OUT("validate.mjs: $err");
    my $said = $json->decode($out);
    is_deeply $said->{problems}, [], @exchanges ? 'all that was said is as documented' : 'the document is valid';
    return $said;
}

my $judged = judge();
my $document = $judged->{document};

# The operations by their ids, each with method, path and parameters.
my %OPERATION;
for my $path (keys %{$document->{paths}}) {
    my $item = $document->{paths}{$path};
    for my $method (grep { ref $item->{$_} eq 'HASH' } keys %$item) {
        my $operation = $item->{$method};
        my @parameters = (@{$item->{parameters} // []}, @{$operation->{parameters} // []});
        my $security = $operation->{security} // $document->{security};
        $OPERATION{$operation->{operationId}} = {
            %$operation, method => uc $method, path => $path,
            who     => !@$security ? 'all' : $security->[0]{operator} ? 'operators' : 'visitors',
            path_of => {map { $_->{name} => $_->{example} } grep { $_->{in} eq 'path' } @parameters},
            matches => scalar(grep { $_->{name} eq 'If-Match' } @parameters),
        };
    }
}
my @ALL = sort keys %OPERATION;

sub operations { my ($is) = @_; return grep { $is->($OPERATION{$_}) } @ALL }

sub examples {
    my ($operation) = @_;
    my $body = $OPERATION{$operation}{requestBody} or return;
    my ($media) = values %{$body->{content}};
    return map { $media->{examples}{$_}{value} } sort keys %{$media->{examples}};
}

sub resolved {
    my ($schema) = @_;
    my ($name) = ($schema->{'$ref'} // '') =~ m{([^/]+)$};
    return $name ? $document->{components}{schemas}{$name} : $schema;
}

subtest 'the sources' => sub {
    my %routes = map { my ($method, $path) = @$_; ("$method " . $path =~ s/[#\@*]/{}/gr => 1) }
        map { /^ *\{"([A-Z]+)", "([^"]+)", ROUTE_/ ? [$1, $2] : () } split /\n/, slurp("$root/worker/routes.c");
    my %documented = map { ("$_->{method} " . $_->{path} =~ s/\{.*?\}/{}/gr => 1) } values %OPERATION;
    is_deeply [sort keys %documented], [sort keys %routes], 'routes.c has the routes of the document';

    my %codes;
    for my $file (glob "$root/worker/*.c") {
        my $text = slurp($file);
        while ($text =~ /\b(reply_problem|problem_begin)\(((?:[^()"]|"(?:[^"\\]|\\.)*"|\([^()]*\))*)\)/g) {
            my ($call, @arguments) = ($1, split /,(?=(?:[^"]*"[^"]*")*[^"]*$)/, $2);
            $codes{$_}++ for $arguments[$call eq 'reply_problem' ? 2 : 1] =~ /"([^"]+)"/g;
        }
        # What bid_answer.c makes of the name of what is missing.
        $codes{"no_such_$1"}++ while $text =~ /answer_no_such\(reply, "(\w+)"/g;
    }
    my %said = map { / [45]\d\d (\w+)$/ ? ($1 => 1) : () } keys %{$judged->{seen}};
    is_deeply [sort keys %said], [sort keys %codes], 'the sources have the codes of the document';
};

my $db = Ticket::MariaDB->new(dir => temp_dir());
my $redis = Ticket::Redis->new(dir => temp_dir());
my $operator = Ticket::Operator->new(dir => temp_dir());

# Performance 1 has everything; 2 limits what one may have, and no hold lasts
# longer there than it is made for; 3 is not on sale yet; holds of 4 are short.
add_hall(1, max_ms => 600_000, starts_at => "'2026-12-01 10:30:00'");
add_hall(2, max_per_user => 3, max_ms => 300_000);
add_hall(3, sale_opens_at => 'UTC_TIMESTAMP(3) + INTERVAL 1 DAY');
add_hall(4, ttl_ms => 1000, max_ms => 1000);

sub add_hall {
    my ($id, %more) = @_;
    $db->add_hall(id => $id, room => 'hall', pools => [{name => 'floor', capacity => 50, buckets => 2}], %more,
        sections => [map { {name => $_, rows => 2, seats_per_row => 20, tier => $_ eq 'A' ? 'gold' : 'standard'} } 'A', 'B'],
        seat_name => sub { "$_[0]-" . (($_[1] - 1) * 20 + $_[2]) });
    return;
}

my $worker = start('worker', $db, redis => {socket => $redis->socket},
                   config => {admin_token_file => $operator->file, listeners => 1});

sub start {
    my ($name, $of, %more) = @_;
    return Ticket::Worker->new(dir => temp_dir(), db => $of, name => $name,
                               ($worker ? (token_keys => temp_dir() . '/worker.keys') : ()), %more);
}

# Where all that is said goes, for the document to judge.
my $record = temp_dir() . '/exchanges';
open my $exchanges, '>', $record or die "$record: $!\n";

sub note_down {
    print {$exchanges} $json->encode($_[0]), "\n";
    return;
}

sub pairs { my ($from) = @_; return [map { [$_, $from->{$_}] } grep { defined $from->{$_} } sort keys %$from] }

# A request of an operation.  Options: at (what is in its path, if not the
# examples), body, headers (undef removes one), worker, method, mutant, pass
# (what Ticket::Worker makes a pass of).
sub request {
    my ($id, %option) = @_;
    my $operation = $OPERATION{$id};
    my %at = (%{$operation->{path_of}}, %{$option{at} // {}});
    my $path = $operation->{path} =~ s/\{(.*?)\}/$at{$1}/gr;
    my $body = $option{body};
    my ($type) = $operation->{requestBody} ? keys %{$operation->{requestBody}{content}} : ();
    my %headers = (
        ($operation->{who} eq 'operators' ? (Authorization => 'Bearer ' . $operator->token) : ()),
        ($operation->{who} eq 'visitors' ? $worker->headers(%{$option{pass} // {}}) : ()),
        ($operation->{method} eq 'POST' ? ('Idempotency-Key' => Ticket::Worker::new_key()) : ()),
        ($operation->{matches} ? ('If-Match' => '*') : ()),
        ($type ? ('Content-Type' => $type) : ()),
        %{$option{headers} // {}},
    );
    return {%option, method => $option{method} // $operation->{method}, path => $path,
            headers => \%headers, body => ref $body ? $json->encode($body) : $body};
}

# Sends them at once, and notes down what was said.
sub send_all {
    my ($to, @requests) = @_;
    my $answers = http_many($to->target, \@requests);
    for my $i (0 .. $#requests) {
        my ($request, $answer) = ($requests[$i], $answers->[$i]);
        note_down({method => $request->{method}, path => $request->{path},
            request => {headers => pairs($request->{headers}), body => $request->{body}},
            status => $answer->{status}, headers => $answer->{pairs}, body => $answer->{body},
            mutant => $request->{mutant} ? JSON::PP::true : JSON::PP::false});
    }
    return @$answers;
}

sub ask {
    my ($id, %option) = @_;
    my ($answer) = send_all($option{worker} // $worker, request($id, %option));
    return $answer;
}

# The same with a status and a code, or a status alone, that must come.
sub expect {
    my ($wanted, $id, %option) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $answer = ask($id, %option);
    is said($answer), $wanted, $option{name} ? "$id: $option{name}" : $id or diag $answer->{body};
    return $answer;
}

# Status and code of an answer.
sub said {
    my ($answer) = @_;
    my $code = ref $answer->{json} eq 'HASH' ? $answer->{json}{code} : undef;
    return defined $code ? "$answer->{status} $code" : $answer->{status};
}

# A hold of visitor 1, in its path.
sub hold {
    my ($performance, @seats) = @_;
    my $answer = expect(201, 'makeHold', at => {performance => $performance}, body => {seats => \@seats});
    return {hold => $answer->{json}{hold}};
}

# A valid request of each operation, for what goes wrong whatever it asks.
$OPERATION{getMap}{path_of}{hash} = ask('getPerformance')->{json}{map} =~ s{.*/}{}r;

sub plain {
    my ($id) = @_;
    my ($body) = examples($id);
    return defined $body ? (body => $body) : ();
}

subtest 'what there is to be had' => sub {
    expect 200, 'getPerformance', at => {performance => $_} for 1 .. 3;
    expect '404 no_such_performance', $_, at => {performance => 99} for qw(getPerformance getMap getSeats listenToSeats listHolds);
    my $map = expect 200, 'getMap';
    expect 304, 'getMap', headers => {'If-None-Match' => $map->{headers}{etag}};
    expect '404 no_such_map', 'getMap', at => {hash => 'another'};
    for my $type ('application/json', 'application/vnd.ticket.seats+json') {
        my $seats = expect 200, 'getSeats', headers => {Accept => $type};
        is $seats->{headers}{'content-type'}, $type, "... as $type";
        expect 304, 'getSeats', headers => {Accept => $type, 'If-None-Match' => $seats->{headers}{etag}};
    }
    expect '406 not_acceptable', 'getSeats', headers => {Accept => 'text/html'};
    expect 200, 'metrics';
    expect 200, 'healthz';
};

subtest 'holds' => sub {
    expect 201, 'makeHold', body => $_ for examples('makeHold');
    my $made = hold(1, 'B-2');
    expect 200, 'listHolds';
    expect 200, 'getHold', at => $made;
    my $id = '"extended"';
    expect 200, 'extendHold', at => $made, headers => {'Idempotency-Key' => $id};
    is expect(200, 'extendHold', at => $made, headers => {'Idempotency-Key' => $id}, name => 'again')
        ->{headers}{'idempotency-replayed'}, '?1', '... which is told';
    expect '409 already_extended', 'extendHold', at => $made;
    expect 204, 'releaseHold', at => $made for 1, 2;
    expect '404 no_such_hold', $_, at => $made for qw(getHold extendHold);
    expect '404 no_such_hold', 'releaseHold';
    expect '409 hold_at_maximum', 'extendHold', at => hold(2, 'A-1');

    my $short = hold(4, 'A-1');
    eventually { said(ask('getHold', at => $short)) eq '410 hold_expired' } 10, 'the hold runs out';
    expect '410 hold_expired', 'extendHold', at => $short;

    my %wrong = (
        'seats'                   => {seats => ['A-1', 'A-20', {seat => 'A-21', version => 7}]},
        '409 pool_unavailable'    => [map { {pools => [{pool => 'floor', quantity => 10}]} } 1 .. 5],
        '409 no_block'            => {best => {quantity => 10, tiers => ['gold'], together => JSON::PP::true}, seats => []},
        '404 no_such_seat'        => {seats => ['A-99']},
        '404 no_such_pool'        => {pools => [{pool => 'balcony', quantity => 1}]},
        '404 no_such_tier'        => {best => {quantity => 1, tiers => ['silver']}},
    );
    expect '409 seat_unavailable', 'makeHold', body => $wrong{seats};
    ask('makeHold', body => $_) for @{$wrong{'409 pool_unavailable'}};
    expect '409 pool_unavailable', 'makeHold', body => $wrong{'409 pool_unavailable'}[0];
    ask('makeHold', body => {best => {quantity => 10, tiers => ['gold']}}) for 1 .. 4;
    expect $_, 'makeHold', body => $wrong{$_} for '409 no_block', grep { /^404/ } sort keys %wrong;
    expect '404 no_such_performance', 'makeHold', at => {performance => 99}, body => {seats => ['A-1']};
    expect '409 not_on_sale', 'makeHold', at => {performance => 3}, body => {seats => ['A-1']};
    expect '422 limit_exceeded', 'makeHold', at => {performance => 2}, body => {seats => ['A-2', 'A-3', 'A-4']};
    my $again = {body => {seats => ['B-30']}, headers => {'Idempotency-Key' => 'again'}};
    my $first = expect 201, 'makeHold', %$again;
    is expect(201, 'makeHold', %$again, name => 'again')->{headers}{'idempotency-replayed'}, '?1', '... which is told';
    expect '422 idempotency_key_reused', 'makeHold', %$again, body => {seats => ['B-31']};
};

subtest 'the stream' => sub {
    my %headers = $worker->headers;
    my $path = '/v1/performances/1/seats/stream';
    my $listen = sub {
        my %more = @_;
        my $stream;
        # The place of who listened before is given back when that is noticed.
        eventually {
            $stream = Ticket::EventStream->open($worker->target, $path, %headers, %more);
            $stream->wait_for(sub { $_->status == 503 || $_->text =~ /\n\n/ }) && $stream->status == 200
        } 10, 'a stream';
        return $stream;
    };
    my $note = sub {
        my ($stream, %more) = @_;
        note_down({method => 'GET', path => $path, request => {headers => pairs({%headers, %more})},
            status => $stream->status, headers => pairs($stream->headers), body => $stream->text});
        note_down($_) for $stream->events;
        $stream->close;
    };
    my $stream = $listen->();
    expect '503 unavailable', 'listenToSeats', name => 'more than may listen';
    expect 204, 'releaseHold', at => hold(1, 'B-39');
    ask('makeHold', body => {seats => ['B-38'], pools => [{pool => 'floor', quantity => 1}]});
    ok $stream->wait_for(sub { $_->events('seats') }), 'an event';
    $note->($stream);
    my %last = ('Last-Event-ID' => '1-1');
    $stream = $listen->(%last);
    ok $stream->wait_for(sub { $_->events('reset') }), 'a reset';
    $note->($stream, %last);
};

subtest 'operators' => sub {
    expect 200, 'listVenues';
    for my $id (qw(makeVenue makeMap makePerformance)) {
        for my $body (examples($id)) {
            my %same = (body => $body, headers => {'Idempotency-Key' => Ticket::Worker::new_key()});
            expect 201, $id, %same;
            is expect(201, $id, %same, name => 'again')->{headers}{'idempotency-replayed'}, '?1', '... which is told';
        }
    }
    my $at = {map => ask('makeMap', plain('makeMap'))->{json}{map}};
    expect 200, 'getVenueMap', at => $at;
    expect '404 no_such_venue', 'makeMap', body => {venue => 99, name => 'Nowhere'};
    expect '409 map_empty', 'makePerformance', body => {map => $at->{map}, name => 'Nothing', room => 'hall'};
    expect '428 precondition_required', 'importHall', at => $at, plain('importHall'), headers => {'If-Match' => undef};
    expect '412 precondition_failed', 'importHall', at => $at, plain('importHall'), headers => {'If-Match' => '"v7"'};
    expect '400 malformed_csv', 'importHall', at => $at, body => "section,row,seat,tier\nHall,A,1,go ld\nHall,A,1\n";
    expect '400 malformed_csv', 'importHall', at => $at, body => "colour\nred\n";
    expect 200, 'importHall', at => $at, plain('importHall'), headers => {'If-Match' => '"v1"'};
    expect '404 no_such_map', $_, at => {map => 99}, plain($_) for qw(getVenueMap importHall);
    expect '404 no_such_map', 'makePerformance', body => {map => 99, name => 'Nothing', room => 'hall'};
    expect '409 map_in_use', 'importHall', plain('importHall');

    my $performance = ask('makePerformance', body => {map => $at->{map}, name => 'Tosca', room => 'hall'})->{json}{performance};
    $at = {performance => $performance};
    my $etag = expect(200, 'getAdminPerformance', at => $at)->{headers}{etag};
    expect '404 no_such_performance', $_, at => {performance => 99}, plain($_)
        for operations(sub { $_[0]{who} eq 'operators' && exists $_[0]{path_of}{performance} });
    for my $body (examples('changePerformance')) {
        $etag = expect(200, 'changePerformance', at => $at, body => $body, headers => {'If-Match' => $etag})->{headers}{etag};
    }
    expect '412 precondition_failed', 'changePerformance', at => $at, body => {name => 'B'}, headers => {'If-Match' => '"v1"'};
    expect '428 precondition_required', 'changePerformance', at => $at, body => {name => 'B'}, headers => {'If-Match' => undef};
    expect '422 unchangeable', 'changePerformance', at => $at, body => {room => 'other'};
    expect '400 malformed', 'changePerformance', at => $at, body => {hold_ttl_ms => 86_400_000}, name => 'what does not fit';
};

subtest 'single seats' => sub {
    my %at = (performance => ask('makePerformance', plain('makePerformance'))->{json}{performance});
    my $etag = expect(200, 'getAdminSeat', at => \%at)->{headers}{etag};
    expect '404 no_such_seat', $_, at => {%at, seat => 'Z-1'} for qw(getAdminSeat blockSeat freeSeat);
    expect '409 seat_not_blocked', 'freeSeat', at => \%at;
    for my $id (qw(blockSeat freeSeat)) {
        my %same = (at => \%at, headers => {'If-Match' => $etag, 'Idempotency-Key' => Ticket::Worker::new_key()});
        $etag = expect(200, $id, %same)->{headers}{etag};
        is expect(200, $id, %same, name => 'again')->{headers}{'idempotency-replayed'}, '?1', '... which is told';
        expect '412 precondition_failed', $id, at => \%at, headers => {'If-Match' => '"v0"'};
        expect '428 precondition_required', $id, at => \%at, headers => {'If-Match' => undef};
        expect '409 seat_unavailable', 'blockSeat', at => \%at if $id eq 'blockSeat';
    }
    my $held = hold(1, 'B-37');
    expect 200, 'getAdminSeat', at => {seat => 'B-37'}, name => 'held';
    expect '409 seat_unavailable', 'blockSeat', at => {seat => 'B-37'}, name => 'held';

    %at = (performance => ask('makePerformance', plain('makePerformance'))->{json}{performance});
    for my $id (qw(blockSeats freeSeats)) {
        my ($body) = examples($id);
        my ($other) = grep { $_ ne $id } qw(blockSeats freeSeats);
        expect 200, $id, at => \%at, body => $body;
        expect '412 precondition_failed', $id, at => \%at, body => $body, name => 'the versions that were';
        my @now = map { {seat => $_->{seat}, version => $_->{version} + 1} } @{$body->{seats}};
        expect $id eq 'blockSeats' ? '409 seat_unavailable' : '409 seat_not_blocked', $id, at => \%at, body => {seats => \@now};
        expect '404 no_such_seat', $id, at => \%at, body => {seats => [{seat => 'Z-1', version => 0}]};
        expect '428 precondition_required', $id, at => \%at, body => {seats => [{seat => 'A-1'}]}, mutant => 1;
    }
};

subtest 'who may ask' => sub {
    my $closed = start('closed', $db);
    expect '404 no_stream', 'listenToSeats', worker => $closed;
    for my $id (operations(sub { $_[0]{who} eq 'operators' })) {
        expect '401 no_token', $id, plain($id), headers => {Authorization => undef};
        expect '403 bad_token', $id, plain($id), headers => {Authorization => 'Bearer nobody'};
        expect '404 not_found', $id, plain($id), worker => $closed, name => 'without admin_token_file';
    }
    for my $id (operations(sub { $_[0]{who} eq 'visitors' })) {
        expect '401 no_token', $id, plain($id), headers => {'X-Ticket-Pass' => undef};
        expect '403 bad_token', $id, plain($id), headers => {'X-Ticket-Bind' => 'other'};
        expect '410 pass_expired', $id, plain($id), pass => {seconds => -1};
        expect '400 malformed', $id, plain($id), headers => {'X-Ticket-Bind' => 'x' x 4097}, name => 'too long a value';
    }
};

# The methods of a path; a seat may have the name of what is done with seats.
sub allowed {
    my ($path) = @_;
    my @methods = map { $_->{method} eq 'GET' ? qw(GET HEAD) : $_->{method} } grep { $_->{path} eq $path } values %OPERATION;
    push @methods, qw(GET HEAD) if $path =~ m{/seats/(?:block|free)$};
    return [sort @methods];
}

subtest 'what is no request' => sub {
    for my $id (@ALL) {
        my $operation = $OPERATION{$id};
        my @valid = plain($id);
        my ($name) = sort keys %{$operation->{path_of}};
        expect '404 not_found', $id, at => {$name => '!'}, @valid, name => 'another address' if $name;
        expect '411 length_required', $id, body => "0\r\n\r\n", headers => {'Transfer-Encoding' => 'chunked', 'Content-Length' => undef};
        expect '413 too_large', $id, headers => {'Content-Length' => 8 * 1024 * 1024 + 1};
        expect '400 malformed', $id, headers => {'X-Request-Id' => 'a', 'x-request-id' => 'b'}, name => 'a header twice';
        expect 200, $id, method => 'HEAD', at => hold(1, 'B-36'), name => 'HEAD' if $id eq 'getHold';
        expect 200, $id, method => 'HEAD', name => 'HEAD' if $operation->{method} eq 'GET' && $id ne 'getHold';
        my $allow = expect('405 method_not_allowed', $id, method => 'PATCH', name => 'another method')->{headers}{allow};
        is_deeply [sort split /, /, $allow], allowed($operation->{path}), '... with those there are';
        next if $operation->{method} ne 'POST';
        expect '400 idempotency_key_missing', $id, @valid, headers => {'Idempotency-Key' => undef};
        expect '400 idempotency_key_malformed', $id, @valid, headers => {'Idempotency-Key' => '"a'};
        expect '415 unsupported_media_type', $id, @valid, headers => {'Content-Type' => 'text/plain'} if $operation->{requestBody};
        expect '400 malformed', $id, @valid, headers => {'If-Match' => 'v1'}, name => 'If-Match' if $operation->{matches};
    }
    for my $path ('/', '/v1', '/v1/nothing', '/v1/admin/nothing', '/v1/performances/1/') {
        my ($answer) = send_all($worker, {method => 'GET', path => $path, headers => {}});
        is said($answer), '404 not_found', "nothing at $path";
    }
    for my $id (qw(blockSeat freeSeat)) {
        expect '400 malformed', $id, body => '{}', name => 'a body';
    }
};

# Bodies that differ from the example in one thing: neither the worker nor the
# document takes them.
sub mutants {
    my ($id) = @_;
    my $schema = resolved($OPERATION{$id}{requestBody}{content}{'application/json'}{schema});
    my @mutants;
    for my $example (examples($id)) {
        push @mutants, ['another member', {%$example, another => 1}], map { ["a wrong $_", {%$example, $_ => {}}] } grep { $_ ne 'best' } keys %$example;
        for my $missing (@{$schema->{required} // []}) {
            push @mutants, ["no $missing", {map { $_ => $example->{$_} } grep { $_ ne $missing } keys %$example}];
        }
        for my $list (grep { ref $example->{$_} eq 'ARRAY' && ref $example->{$_}[-1] eq 'HASH' } keys %$example) {
            push @mutants, ["another member in $list", {%$example, $list => [{%{$example->{$list}[-1]}, another => 1}]}];
        }
    }
    return @mutants, ['nothing', {}];
}

# What is just too much, and what is just not.
my %BEYOND = (
    makeHold => [
        {seats => [map { "A-$_" } 1 .. 11]}, {seats => ['A-' . 'x' x 31]}, {seats => ['A 1']}, {seats => [{seat => 'A-1', version => -1}]},
        {seats => [{seat => 'A-1', version => 2**32}]}, {pools => [{pool => 'floor', quantity => 11}]},
        {pools => [{pool => 'floor', quantity => 0}]}, {pools => [{pool => 'floor'}]}, {best => {quantity => 11}}, {best => {}},
        {best => {quantity => 1, another => 1}}, {best => {quantity => 1, tiers => []}}, {best => {quantity => 1, tiers => [map { "t$_" } 1 .. 9]}},
        {best => {quantity => 1, tiers => ['gold', 'gold']}}, {best => {quantity => 1, together => 1}}, {best => 3},
    ],
    makeVenue => [{name => ''}, {name => 'x' x 201}, {name => "two\nlines"}, {name => ' '}, {name => 'x '}],
    makeMap   => [{venue => 0, name => 'x'}, {venue => 2**32, name => 'x'}],
    makePerformance => [map { {map => 1, name => 'Tosca', room => 'hall', %$_} }
        {room => 'a:b:c'}, {room => 'x' x 65}, {starts_at => 'tomorrow'}, {hold_ttl_ms => 999}, {hold_max_ms => 86_400_001},
        {max_per_user => 0}, {max_per_user => 65_536}, {buckets => 65}, {buckets => 0}, {buckets => undef}],
    blockSeats => [{seats => []}, {seats => [{seat => 'A-1', version => 2**32}]}, {seats => [{seat => 'A 1', version => 0}]}],
);
my %WITHIN = (
    makeVenue       => [{name => "\x{e9}" x 200}],
    makePerformance => [map { {map => 1, name => 'Tosca', %$_} }
        {room => ('x' x 64) . ':' . ('y' x 64), hold_ttl_ms => 86_400_000, hold_max_ms => 86_400_000, max_per_user => 65_535, buckets => 64},
        {room => 'hall', hold_ttl_ms => 1000, max_per_user => 1, buckets => 1, starts_at => '2026-12-01T10:30:00.5Z'}],
);

subtest 'limits' => sub {
    for my $id (sort keys %BEYOND) {
        expect '400 malformed', $id, body => $_, mutant => 1, name => $json->encode($_) for @{$BEYOND{$id}};
    }
    for my $id (sort keys %WITHIN) {
        expect 201, $id, body => $_ for @{$WITHIN{$id}};
    }
};

subtest 'bodies' => sub {
    for my $id (operations(sub { $_[0]{requestBody} && $_[0]{requestBody}{content}{'application/json'} })) {
        expect '400 malformed', $id, body => $_->[1], name => $_->[0], mutant => 1 for mutants($id);
        expect '400 malformed', $id, body => '{"', name => 'no JSON';
    }
};

# A session of root's that can keep a transaction open.
sub session {
    my $pid = open2(my $out, my $in, $db->_client, '--unbuffered', $db->schema);
    my $run = sub {
        print {$in} "$_[0];\nSELECT 'done';\n" or die "mariadb: $!\n";
        $in->flush;
        while (defined(my $line = <$out>)) { return if $line eq "done\n" }
        die "mariadb has ended\n";
    };
    return ($run, sub { close $in; close $out; waitpid $pid, 0; return });
}

subtest 'keys in use' => sub {
    my ($run, $end) = session();
    my @posts = operations(sub { $_[0]{method} eq 'POST' && $_[0]{operationId} ne 'makeHold' });
    my $rows = sub {
        my ($prefix) = @_;
        return 'INSERT INTO idempotency (scope, idem_key, fingerprint, status, body, created_at) VALUES ' . join ', ',
            map { my $scope = $OPERATION{$_}{who} eq 'operators' ? 'operator' : 'hall/1-1';
                  "('$scope', '$prefix-$_', x'@{['00' x 16]}', 200, 'x', UTC_TIMESTAMP(3))" } @posts;
    };
    $db->do($rows->('used'));
    expect '422 idempotency_key_reused', $_, plain($_), headers => {'Idempotency-Key' => "used-$_"} for @posts;
    $run->('START TRANSACTION');
    $run->($rows->('busy'));
    my @answers = send_all($worker, map { request($_, plain($_), headers => {'Idempotency-Key' => "busy-$_"}) } @posts);
    is said($answers[$_]), '409 in_progress', $posts[$_] for 0 .. $#posts;
    $run->('ROLLBACK');

    $run->('START TRANSACTION');
    $run->('SELECT * FROM seat WHERE performance_id = 1 AND seat_no >= 70 FOR UPDATE');
    @answers = send_all($worker, (request('makeHold', body => {seats => ['B-35']})) x 2);
    is_deeply [sort map { said($_) } @answers], ['409 in_progress', '503 unavailable'], 'makeHold, held up for long, and the same again';
    is $_->{headers}{'retry-after'}, 1, '... with the time to wait' for @answers;
    $run->('ROLLBACK');
    $end->();
};

subtest 'when things fail' => sub {
    my $away = start('away', $db, config => {admin_token_file => $operator->file, db_socket => temp_dir() . '/nothing'},
                     redis => {socket => $redis->socket});
    for my $id (operations(sub { $_[0]{responses}{503} })) {
        expect '503 unavailable', $id, plain($id), worker => $away, name => 'without the database';
    }

    my $broken = Ticket::MariaDB->new(dir => temp_dir());
    my $worker = start('broken', $broken, config => {admin_token_file => $operator->file}, redis => {socket => $redis->socket});
    my @tables = map { $_->[0] } @{$broken->rows("SELECT table_name FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'")};
    $broken->do('RENAME TABLE ' . join ', ', map { "$_ TO ${_}_gone" } @tables);
    for my $id (operations(sub { $_[0]{responses}{500} })) {
        expect '500 internal', $id, plain($id), worker => $worker, name => 'without the tables';
    }
    $worker->stop;
    $broken->do('RENAME TABLE ' . join ', ', map { "${_}_gone TO $_" } @tables);
};

close $exchanges or die "$record: $!\n";

subtest 'the document' => sub {
    my $seen = judge($record)->{seen};
    my @missing = sort grep { !$seen->{$_} } keys %$seen;
    is_deeply \@missing, [sort keys %NOT_PROVOKED], 'every documented answer was seen';
    note scalar(keys %$seen) . ' documented answers';
};

done_testing;
