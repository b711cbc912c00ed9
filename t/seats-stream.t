# The stream of what happens to seats: who listens hears of it, from whichever
# worker it comes, can go on after a break, and stands in nobody's way.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::EventStream;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Redis;
use Ticket::Worker;
use JSON::PP ();
use Time::HiRes qw(time);

my $CROWD = 1000;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_hall(id => 1, room => 'hall', sections => [{name => 'A', rows => 10, seats_per_row => 50}],
    seat_name => sub { 'A-' . (($_[1] - 1) * 50 + $_[2]) }, pools => [{name => 'floor', capacity => 500}]);
$db->add_hall(id => 2, room => 'hall:20261201', sections => [{name => 'A', rows => 1, seats_per_row => 1}]);
my $redis = Ticket::Redis->new(dir => temp_dir());
my ($first, $second) = map { worker($_) } 'first', 'second';

sub worker {
    my ($name, %more) = @_;
    return Ticket::Worker->new(dir => temp_dir(), db => $db, name => $name, redis => {socket => $redis->socket}, %more);
}

my $STREAM = '/v1/performances/1/seats/stream';
my $COMPACT = 'application/vnd.ticket.seats+json';
my $key = 0;

# Listens to what the worker tells; last: the id of the event heard last.
sub listen_to {
    my ($worker, $last, %pass) = @_;
    return Ticket::EventStream->open($worker->target, $STREAM, $worker->headers(%pass),
        defined $last ? ('Last-Event-ID' => $last) : ());
}

# A listener that has been told it is one.
sub listener {
    my $stream = listen_to(@_);
    $stream->wait_for(sub { $_->text =~ /\n\n/ }) or die "no greeting\n";
    return $stream;
}

# Holds the seats at a worker; the path of the hold.
sub hold {
    my ($worker, @seats) = @_;
    my $answer = http($worker->target, POST => '/v1/performances/1/holds',
        [$worker->headers, 'Idempotency-Key' => '"' . ++$key . '"'], {seats => \@seats});
    is $answer->{status}, 201, "@seats held" or diag $answer->{body};
    return $answer->{headers}{location};
}

sub seats_of { return map { @{JSON::PP->new->decode($_->{data})->{seats}} } $_[0]->events('seats') }

# The last state told of a seat; -1 when none was.
sub state_of {
    my ($stream, $no) = @_;
    my ($last) = reverse grep { $_->[0] == $no } seats_of($stream);
    return $last ? $last->[1] : -1;
}

sub hears {
    my ($stream, $no, $state, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok $stream->wait_for(sub { state_of($_, $no) == $state }), $name;
}

# Until both workers have read the stream there is nothing to begin with.
hold($first, 'A-500');
my $beginning;
eventually {
    $beginning = http($_->target, GET => '/v1/performances/1/seats', [$_->headers, Accept => $COMPACT])->{json}{event}
        or return 0 for $first, $second;
    1;
} 10, 'the seats name the last event';

my $patient = listener($first);

subtest 'who listens' => sub {
    my $stream = listener($first);
    is $stream->status, 200, 'is let in';
    is $stream->headers->{'content-type'}, 'text/event-stream', 'to a stream of events';
    is $stream->headers->{'cache-control'}, 'no-store', 'that nobody keeps';
    is $stream->headers->{'x-accel-buffering'}, 'no', 'and nginx does not gather';
    my @retry = map { listener($first)->text =~ /^retry: ([0-9]+)$/m } 1 .. 8;
    is scalar(grep { $_ >= 1000 && $_ <= 5000 } @retry), 8, 'is told when to come back';
    cmp_ok scalar(keys %{{map { $_ => 1 } @retry}}), '>', 1, '... not all at once';
    like $stream->last_id, qr/^\d+-\d+$/, 'and where the present is';
    ok $stream->comments, 'at once';
    is scalar($stream->events), 0, 'and of nothing that was before';

    my $hold = hold($first, 'A-1', 'A-2');
    hears $stream, 0, 1, 'hears that a seat is held';
    is state_of($stream, 1), 1, 'and the other with it';
    http($first->target, DELETE => $hold, [$first->headers]);
    hears $stream, 0, 0, 'and free again';
    my $other = hold($second, 'A-3');
    hears $stream, 2, 1, 'and of what happens at another worker';
    cmp_ok $first->metric('stream_messages_total'), '>=', 3, 'the messages are counted';

    my $answer = http($first->target, POST => '/v1/performances/1/holds',
        [$first->headers, 'Idempotency-Key' => '"pool"'], {pools => [{pool => 'floor', quantity => 3}]});
    is $answer->{status}, 201, 'three places held';
    ok $stream->wait_for(sub { $_->text =~ /"pools":\[\[0,497\]\]/ }), 'and of places';
    $stream->close;
};

subtest 'who comes back' => sub {
    my $stream = listener($first);
    hold($first, 'A-10');
    hears $stream, 9, 1, 'heard the last event';
    my $last = $stream->last_id;
    $stream->close;
    hold($first, 'A-11');
    hold($second, 'A-12');
    for ($first, $second) {
        my $again = listener($_, $last);
        hears $again, 10, 1, 'hears what was missed at ' . $_->{name};
        hears $again, 11, 1, '... all of it';
        is state_of($again, 9), -1, '... and only that';
        is scalar($again->events('reset')), 0, '... without beginning anew';
    }
};

subtest 'an event that is not known' => sub {
    for my $id ('1-1', 'nonsense', '9' x 60, '99999999999999-0') {
        my $stream = listener($first, $id);
        ok $stream->wait_for(sub { scalar $_->events('reset') }), "$id: is told to begin anew"
            or diag $stream->text;
        my ($reset) = $stream->events('reset');
        is $reset->{data}, '{}', '... with nothing else';
        like $reset->{id}, qr/^\d+-\d+$/, '... and where the present is';
    }
    my $stream = listener($first, '');
    hold($first, 'A-13');
    hears $stream, 12, 1, 'no id is none';
    is scalar($stream->events('reset')), 0, 'and no reason to begin anew';
};

subtest 'much at once' => sub {
    my $stream = listener($first);
    my ($began, $before) = (time, $first->metric('stream_messages_total'));
    my $answers = http_many($first->target, [map {
        [POST => '/v1/performances/1/holds', [$first->headers(number => 100 + $_), 'Idempotency-Key' => qq("m$_")],
         {seats => ["A-$_"]}]
    } 101 .. 200], concurrency => 2);
    is scalar(grep { $_->{status} == 201 } @$answers), 100, 'a hundred seats are held';
    ok $stream->wait_for(sub { my %held = map { $_->[0] => 1 } seats_of($_);
                               100 == grep { $held{$_} } 100 .. 199 }), 'and heard of';
    my $seconds = time - $began;
    my $each = ($first->metric('stream_messages_total') - $before) / $first->metric('listeners');
    cmp_ok $each, '<=', $seconds / 0.25 + 2, 'in no more than four messages a second';
};

subtest 'who may not' => sub {
    my $none = listen_to($first, undef, seconds => -5);
    $none->wait_for(sub { $_->status });
    is $none->status, 410, 'whose pass is over';
    my $other = http($first->target, GET => '/v1/performances/2/seats/stream', [$first->headers]);
    is "$other->{status} $other->{json}{code}", '404 no_such_performance', 'who is of another room';
    my $without = Ticket::Worker->new(dir => temp_dir(), db => $db, name => 'without');
    my $answer = http($without->target, GET => $STREAM, [$without->headers]);
    is "$answer->{status} $answer->{json}{code}", '404 no_stream', 'anybody without Redis';
    $without->stop;
    is http($first->target, HEAD => $STREAM, [$first->headers])->{status}, 200, 'HEAD tells that there is one';
};

subtest 'a pass that ends' => sub {
    my $stream = listener($first, undef, seconds => 2);
    ok $stream->wait_for(sub { $_->closed }), 'ends the stream';
    ok $stream->{ended} || !$stream->headers->{'transfer-encoding'}, 'in good order';
};

subtest 'no more than the limit' => sub {
    my $small = worker('small', config => {listeners => 3});
    my @streams = map { listener($small) } 1 .. 3;
    my $answer = http($small->target, GET => $STREAM, [$small->headers]);
    is "$answer->{status} $answer->{json}{code}", '503 unavailable', 'one too many';
    ok $answer->{headers}{'retry-after'}, 'is told when to try again';
    is http($small->target, GET => '/v1/performances/1/seats', [$small->headers])->{status}, 200,
        'and can still look';
    $streams[0]->close;
    eventually { $small->metric('listeners') == 2 } 5, 'who goes away is noticed at once';
    is listener($small)->status, 200, 'and makes room';
    $small->stop;
};

subtest 'a crowd' => sub {
    my @crowd = map { listen_to($_ % 2 ? $first : $second) } 1 .. $CROWD;
    ok Ticket::EventStream::await(\@crowd, sub { $_->text =~ /\n\n/ }, 30), 'is let in';
    my $there = $first->metric('listeners') + $second->metric('listeners');
    cmp_ok $there, '>=', $CROWD, 'and counted';
    my $began = time;
    hold($first, 'A-300');
    ok Ticket::EventStream::await(\@crowd, sub { state_of($_, 299) == 1 }, 30), 'hears of a hold';
    diag sprintf '%d listeners heard of it in %.0f ms', $CROWD, (time - $began) * 1000;
    $_->close for @crowd;
    eventually { $first->metric('listeners') + $second->metric('listeners') <= $there - $CROWD } 10,
        'and is gone when it goes';
};

subtest 'who hears nothing for long' => sub {
    my $before = $patient->comments;
    ok $patient->wait_for(sub { $_->comments > $before }, 40), 'hears a heartbeat';
};

subtest 'a worker that stops' => sub {
    my @streams = map { listener($second) } 1 .. 50;
    my $deaf = listen_to($second);
    my $last = $streams[0]->last_id;
    my $told = time;
    $second->stop;
    cmp_ok time - $told, '<', 5, 'does not wait for those who listen';
    ok Ticket::EventStream::await(\@streams, sub { $_->closed }, 5), 'ends them all';
    is scalar(grep { $_->{ended} || !$_->headers->{'transfer-encoding'} } @streams), 50, 'in good order';
    hold($first, 'A-400');
    $second->start;
    my $again = listener($second, $last);
    hears $again, 399, 1, 'and tells them after its start what they missed';
};

is $db->broken, '', 'the invariants hold';

done_testing;
