# The hours of a room: prequeue, opens, closes, and what visitors are told.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use POSIX ();
use Time::HiRes qw(sleep time);

sub at { return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(shift)) }

my $redis = Ticket::Redis->new(dir => temp_dir());
my $now   = int time;
my ($prequeue, $opens, $closes) = ($now + 7, $now + 12, $now + 19);
my $hours = 'prequeue ' . at($prequeue) . '; opens ' . at($opens) . '; closes ' . at($closes) . ';';
my $limits = 'slots 2; session 60s; claim 30s; liveness 20s;';
my @node = map { line_node($redis, "$limits $hours", name => $_) } qw(a b);

sub until_time {
    my ($when) = @_;
    sleep 0.05 while time < $when;
}

# Before the prequeue.
{
    my $answer = $node[0]->http('POST', '/queue');
    is($answer->{status}, 403, 'nobody joins before the prequeue');
    is($answer->{json}{code}, 'closed', 'code closed');
    cmp_ok($answer->{json}{prequeue_in_ms}, '<=', 7000, 'it says when the room opens');
    cmp_ok($answer->{json}{opens_in_ms} - $answer->{json}{prequeue_in_ms}, '==', 5000, 'and the sale');
    like($answer->{headers}{'retry-after'}, qr/^[1-7]$/, 'Retry-After');
    my $gate = $node[0]->http('GET', '/site', {Accept => 'application/json'});
    is_deeply([$gate->{status}, $gate->{json}{code}], [403, 'closed'], 'so does the gate');
    my $page = $node[0]->http('GET', '/site', {Accept => 'text/html'});
    is($page->{status}, 200, 'a browser gets a page');
    like($page->{body}, qr/closed at the moment/, 'that says so');
    ok(!$page->{headers}{'set-cookie'}, 'and no place');
    is($redis->cmd('EXISTS', 'ticket:{show}'), 0, 'and nobody asks Redis');
}

# The prequeue: numbers, no calls.
until_time($prequeue + 0.2);
my @crowd = map { crowd($node[$_ % 2], 1) } 1 .. 6;
is_deeply([map { $_->{state} } @crowd], [('prequeue') x 6], 'those who come early get a number');
is_deeply([map { $_->{number} } @crowd], [1 .. 6], 'in order');
{
    sleep 1;
    my @answers = poll_all(\@crowd);
    is((grep { $_->{json}{state} ne 'prequeue' } @answers), 0, 'nobody is called before the opening');
    my $left = ($opens - time) * 1000;
    my $told = $answers[0]{json}{opens_in_ms};
    cmp_ok(abs($told - $left), '<', 1000, 'the time to the opening is told by the server');
    is($answers[3]{json}{position}, 4, 'with the position, as nothing is drawn');
    my $after = $answers[0]{json}{poll_after_ms};
    cmp_ok($after, '>=', 1000, 'polls are not told to hurry');
    my @post = post_all(\@crowd);
    is((grep { $_->{json}{state} eq 'prequeue' } @post), 6, 'a POST does not help');
}

# The opening, in order.
until_time($opens);
eventually { poll_all(\@crowd); 2 == grep { $_->{state} eq 'called' } @crowd } 4,
    'the first are called at the opening';
is_deeply([map { $_->{state} } @crowd], ['called', 'called', ('waiting') x 4], 'L4: in order');
{
    my ($answer) = poll_all([$crowd[2]]);
    cmp_ok($answer->{json}{closes_in_ms}, '<=', 7000, 'the close is told');
    ok(!exists $answer->{json}{opens_in_ms}, 'the opening no more');
}
post_all([$crowd[0]]);
is($crowd[0]{state}, 'admitted', 'and admitted');

# The close: nobody new, nobody called; who is in stays, who was called may claim.
until_time($closes + 0.2);
{
    my $answer = $node[1]->http('POST', '/queue');
    is_deeply([$answer->{status}, $answer->{json}{code}, $answer->{json}{opens_in_ms}],
              [403, 'closed', undef], 'nobody joins after the close');
    leave_all([$crowd[0]]);
    sleep 0.5;
    poll_all([@crowd[2 .. 5]]);
    is((grep { $_->{state} eq 'closed' } @crowd[2 .. 5]), 4, 'those in line are told, nobody is called');
    post_all([$crowd[1]]);
    is($crowd[1]{state}, 'admitted', 'one who was called before may still claim');
    cmp_ok(occupied($redis), '<=', 2, 'L2');
}

done_testing;
