# Who is away is not counted and not called; who comes back is served before
# any number not yet called.  Who misses the time to claim keeps the place.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $node  = line_node($redis, 'slots 2; session 60s; claim 1500ms; liveness 1s;');
my @crowd = crowd($node, 8);
my @inside  = @crowd[0, 1];
my ($away, @here) = @crowd[2 .. 7];
my %token = map { $_ => $_->{jar}->get('ticket-queue-show') } @crowd;

# Everybody polls but one.
my $until = time + 3.5;
while (time < $until) { poll_all(\@here); sleep 0.1; }
is_deeply([map { $_->{position} } @here], [1 .. 5], 'one who does not poll is not counted');

# A slot frees while that one is away: the next is called.
leave_all([$inside[0]]);
eventually { poll_all(\@here); $here[0]{state} eq 'called' } 3, 'the next is called instead';
post_all([$here[0]]);
is($here[0]{state}, 'admitted', 'and gets in');

# The one comes back: in front of all not yet called.
my ($first) = poll_all([$away]);
is($first->{status}, 200, 'the token of one who was away is good');
post_all([$away]);
is($away->{state}, 'waiting', 'coming back, there is no room yet');
eventually { poll_all([$away, @here[1 .. 4]]); $away->{state} eq 'waiting' && ($away->{position} // 0) == 1 } 2,
    'but the place is the first';
is_deeply([map { $_->{position} } @here[1 .. 4]], [2 .. 5], 'the others stand behind');
leave_all([$inside[1]]);
eventually { poll_all([$away, @here[1 .. 4]]); $away->{state} eq 'called' } 3, 'L4: served before any higher number';
is((grep { $_->{state} ne 'waiting' } @here[1 .. 4]), 0, 'and nobody else is called');

# It misses the time to claim: the call goes to the next.
$until = time + 2.2;
while (time < $until) { poll_all([@here[1 .. 4]]); sleep 0.1; }
is($here[1]{state}, 'called', 'after the time to claim the call goes to the next');
post_all([$here[1]]);
is($here[1]{state}, 'admitted', 'who gets in');
post_all([$away]);
is($away->{state}, 'waiting', 'the one who missed it is in line again');
eventually { poll_all([$away, @here[2 .. 4]]); ($away->{position} // 0) == 1 } 2, 'at the front';
leave_all([$here[0]]);
eventually { poll_all([$away]); $away->{state} eq 'called' } 3, 'and is called again';
post_all([$away]);
is($away->{state}, 'admitted', 'and gets in');

# A place used up cannot be used again.
my $token = $token{$away};
leave_all([$away]);
my $spent = $node->http('POST', '/queue', {Cookie => "ticket-queue-show=$token"});
is($spent->{status}, 410, 'a queue token whose session is over is refused');
is($spent->{json}{code}, 'spent', 'as spent');
like(join("\n", @{$spent->{set_cookie}}), qr/^ticket-queue-show=;.*Max-Age=0/m, 'and its cookie cleared');
my $again = $node->http('POST', '/queue');
is($again->{status}, 201, 'without it, one joins anew');

# An idle room empties by itself: those who closed the page do not hold it up.
$until = time + 6;
sleep 0.1 while time < $until && occupied($redis) > 2;
leave_all([$here[1]]);
sleep 4;
my ($new) = crowd($node, 1);
is($new->{state}, 'admitted', 'when everybody else has gone, a newcomer gets in at once');

done_testing;
