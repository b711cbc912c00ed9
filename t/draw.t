# The draw: numbers issued before the opening become places in an order that
# the published key decides, late arrivals follow, and nothing that happens to
# Redis or nginx afterwards changes it.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Digest::SHA qw(sha256_hex);
use POSIX ();
use Time::HiRes qw(sleep time);

sub at { return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(shift)) }

sub node {
    my ($redis, $name, $opens, $limits) = @_;
    my $hours = 'prequeue ' . at($opens - 60) . '; opens ' . at($opens) . ';';
    return line_node($redis, "$limits $hours draw on;", name => $name,
                     extra => 'location /line { ticket_queue show; }');
}

sub published { my ($node) = @_; return $node->http('GET', '/line/draw')->{json} }

sub places { return map { $_->{json}{place} } @_ }

my $limits = 'slots 5; session 60s; claim 60s; liveness 60s;';

# Forty entries at two nodes; the opening; what is published.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), aof => 1);
    my $opens = int(time) + 6;
    my @node  = map { node($redis, $_, $opens, $limits) } qw(a b);
    my @crowd = map { crowd($node[$_ % 2], 1) } 1 .. 40;
    is((grep { $_->{state} eq 'prequeue' } @crowd), 40, 'forty entries');
    eventually { 2 == grep { $_->{json}{waiting} } poll_all([@crowd[0, 1]]) } 3, 'both nodes have heard from Redis';
    my ($early) = poll_all([$crowd[0]]);
    ok($early->{json}{draw}, 'it is told that places will be drawn');
    is($early->{json}{position}, undef, 'and no position before that');
    my $before = published($node[0]);
    like($before->{commitment}, qr/^[0-9a-f]{64}$/, 'the commitment is published');
    is_deeply([@$before{qw(key entries)}], [undef, undef], 'and no key yet');
    cmp_ok($before->{opens_in_ms}, '>', 0, 'with the time to the opening');
    is(published($node[1])->{commitment}, $before->{commitment}, 'the same at the other node');
    unlike($redis->cmd('HGET', 'ticket:{show}', 'draw_key'), qr/^\Q$before->{commitment}\E$/,
           'the commitment is not the key');
    my %number = map { $_ => $crowd[$_]{number} } 0 .. 39;

    # Ten leave before the opening: they took part, but are not there.
    my @left = splice @crowd, 3, 10;
    leave_all(\@left);
    delete @number{30 .. 39};
    $number{$_} = $crowd[$_]{number} for 0 .. 29;

    sleep 0.05 while time < $opens;
    my @answers;
    eventually {
        @answers = poll_all(\@crowd);
        5 == grep { $_->{state} eq 'called' } @crowd and 25 == grep { $_->{json}{place} } @answers
    } 10, 'the first five are called after the opening';
    my $after = published($node[0]);
    is($after->{commitment}, $before->{commitment}, 'the commitment is the one of before');
    is(sha256_hex(pack 'H*', $after->{key}), $after->{commitment}, 'and the key fits it');
    is($after->{entries}, 40, 'forty took part');
    is_deeply([map { $crowd[$_]{number} } 0 .. 29], [@number{0 .. 29}], 'L5: numbers stay as they were');

    my @waiting = grep { $_->{state} eq 'waiting' } @crowd;
    my @of_waiting = grep { $_->{json}{place} } @answers;
    my @sorted = sort { $a <=> $b } places(@of_waiting);
    is(scalar(keys %{{map { $_ => 1 } @sorted}}), 25, 'places are all different');
    cmp_ok($sorted[0], '>', 5, 'the lowest places were called');
    cmp_ok($sorted[-1], '<=', 40, 'and none is above the number of entries');
    my @by_place = sort { $a->{json}{place} <=> $b->{json}{place} } @of_waiting;
    is_deeply([map { $_->{json}{position} } @by_place], [1 .. 25], 'positions follow the places');
    my @by_number = places(sort { $a->{json}{number} <=> $b->{json}{number} } @of_waiting);
    ok((grep { $by_number[$_] < $by_number[$_ - 1] } 1 .. $#by_number),
       'places are not in the order of arrival');

    my $node = $node[1];
    my ($late) = crowd($node, 1);
    is($late->{number}, 41, 'one who comes late gets the next number');
    my ($polled) = poll_all([$late]);
    is($polled->{json}{position}, 26, 'behind all that were drawn');
    ok(!exists $polled->{json}{place}, 'and has no drawn place');

    my ($why) = each_visitor([$waiting[0]], 'GET', path => '/line/why');
    my ($drawn) = grep { $_->{what} eq 'drawn' } @{$why->{json}{events}};
    ok($drawn && grep({ $_ == $drawn->{place} } @sorted), 'why tells of the draw and the place');

    # The order survives a node that knows nothing of it, and a Redis that does not.
    my %place = map { $_->{json}{number} => $_->{json}{place} } @of_waiting;
    my $same = sub {
        my ($what) = @_;
        my @then;
        eventually {
            @then = map { $_->{json} } poll_all(\@waiting);
            25 == grep { defined $_->{position} } @then
        } 15, "$what: everybody has a position again";
        is((grep { $_->{place} != $place{$_->{number}} } @then), 0, "$what: places are the same");
        my @order = map { $_->{place} } sort { $a->{position} <=> $b->{position} } @then;
        is_deeply(\@order, [sort { $a <=> $b } @order], "$what: in the order of places");
        is_deeply([sort { $a <=> $b } map { $_->{position} } @then], [1 .. 25],
                  "$what: and nobody stands among them who is not there");
    };
    $node[0]->stop;
    $node[0]->start;
    $same->('a node started anew');
    $_->expect_log(qr/\[error\].*ticket/) for @node;
    $redis->cmd('FLUSHALL');
    sleep 3;
    $same->('Redis emptied');
    is(published($node[1])->{key}, $after->{key}, 'with the key that was published');
    my @lowest = sort { $place{$a->{number}} <=> $place{$b->{number}} } @waiting;
    leave_all([grep { $_->{state} eq 'called' } @crowd]);
    cmp_ok(occupied($redis), '<=', 5, 'L2');
}

# Places are those of the published draw, and of no other that a process has
# seen before: here the state in Redis is made to be another's.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'other');
    my $opens = int(time) + 3;
    my $node  = node($redis, 'e', $opens, 'slots 1; session 60s; claim 60s; liveness 60s;');
    my @crowd = crowd($node, 300);
    sleep 0.05 while time < $opens;
    eventually { published($node)->{key} } 10, 'the draw is held';
    my $check = sub {
        my ($what) = @_;
        my $draw = published($node);
        my (undef, $out) = run('scripts/verify-draw', '--all', map { ("--$_" => $draw->{$_}) } qw(key entries commitment));
        my %place = map { split / / } split /\n/, $out;
        is(scalar(keys %place), $draw->{entries}, "$what: all places");
        my @waiting;
        eventually {
            @waiting = grep { $_->{json}{state} eq 'waiting' } poll_all(\@crowd);
            @waiting > 290
        } 10, "$what: all but those called wait";
        my @wrong = grep { ($_->{json}{place} // 0) != ($place{$_->{json}{number}} // 0) } @waiting;
        is(scalar(@wrong), 0, "$what: everybody has the place that verify-draw computes");
    };
    $check->('300 entries');
    my $changed = sub {
        my ($name, $field, $value) = @_;
        $redis->cmd('HSET', 'ticket:{show}', @_[1 .. $#_]);
        eventually { published($node)->{$name} eq $value } 5, "another $name";
        $check->("another $name");
    };
    $changed->('key', 'draw_key', '5a' x 32);
    $changed->('entries', 'drawn', 200);
}

# A room that nobody entered before the opening has no draw, and goes on.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'empty');
    my $opens = int(time) + 2;
    my $node  = node($redis, 'c', $opens, $limits);
    eventually { published($node)->{commitment} } 3, 'a commitment';
    sleep 0.05 while time < $opens + 0.3;
    my ($first) = crowd($node, 1);
    is($first->{state}, 'admitted', 'who comes after the opening is admitted');
    is($first->{number}, 1, 'with number one');
    my ($second) = crowd($node, 1);
    is($second->{state}, 'admitted', 'and the next');
    is(published($node)->{entries}, 0, 'nobody took part');
}

# Rooms without a draw say so.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'plain');
    my $node  = line_node($redis, 'slots 1;', name => 'd', extra => 'location /line { ticket_queue show; }');
    my $answer = $node->http('GET', '/line/draw');
    is_deeply([$answer->{status}, $answer->{json}{code}], [404, 'no_draw'], 'no draw');
}

done_testing;
