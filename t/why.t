# GET {queue}/why: what has happened to a place, for the bearer of its token.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $node  = line_node($redis, 'slots 1; session 2s; claim 1s; liveness 30s;',
                      extra => 'location /line { ticket_queue show; }');

sub why {
    my ($visitor) = @_;
    my ($answer) = each_visitor([$visitor], 'GET', path => '/line/why');
    return $answer->{json}{events} if $answer->{status} == 200;
    return $answer;
}

sub kinds { return join ' ', map { $_->{what} } @{$_[0]} }

my $start = time * 1000;
my ($in, $first, $second) = crowd($node, 3);
is($in->{state}, 'admitted', 'one is in, two wait');
is(kinds(why($first)), 'issued', 'a number was issued');
cmp_ok(abs(why($first)->[0]{at_ms} - $start), '<', 5000, 'at that time');
is(kinds(why($in)), 'claimed', 'one who was admitted at once');

# The first is called and misses it; the second is called.
leave_all([$in]);
eventually { poll_all([$first]); $first->{state} eq 'called' } 3, 'called';
is(kinds(why($first)), 'issued called', 'why says so');
eventually { kinds(why($first)) =~ /missed/ } 4, 'and when the call was missed';
eventually { poll_all([$second]); $second->{state} eq 'called' } 3, 'the next is called';
post_all([$second]);
is($second->{state}, 'admitted', 'and claims');
like(kinds(why($second)), qr/claimed/, 'which why knows');

# The first comes back, claims, and the session runs out.
post_all([$first]);
is($first->{state}, 'waiting', 'the first is back in line');
is(kinds(why($first)), 'issued missed returned', 'and why knows');
eventually { poll_all([$first]); post_all([$first]) if $first->{state} eq 'called'; $first->{state} eq 'admitted' } 6,
    'served next';
my $events = why($first);
is(kinds($events), 'missed returned claimed', 'and claimed; the pass does not tell when its number was issued');
my @times = map { $_->{at_ms} } @$events;
is_deeply(\@times, [sort { $a <=> $b } @times], 'in order of time');

# Refusals.
is($node->http('GET', '/line/why')->{status}, 401, 'not without a token');
is($node->http('GET', '/line/why', {'X-Ticket-Queue' => 'x' x 64})->{status}, 403, 'not with a bad one');
is($node->http('GET', '/line/elsewhere')->{status}, 401, 'any other address is the queue itself');

done_testing;
