# The line beyond one segment of its bitmaps (32,768 numbers): places, calls
# and returns across the border, and the highest number that can be issued.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $room  = 'slots 1; session 60s; claim 20s; liveness 1500ms;';
my $node  = line_node($redis, $room);
my ($inside, $away) = crowd($node, 2);
is($away->{state}, 'waiting', 'one is inside, one waits');

# The one closes the page; many come and go.
$redis->cmd('HSET', 'ticket:{show}', 'issued', 32764);
my @crowd = crowd($node, 6);
is_deeply([numbers(@crowd)], [32765 .. 32770], 'numbers on both sides of the border');
my $until = time + 4.5;
while (time < $until) { poll_all(\@crowd); sleep 0.1; }
is_deeply([map { $_->{position} } @crowd], [1 .. 6], 'places are counted across it');
is($crowd[0]{waiting}, 6, 'without the one who went away');

# Calls cross the border.
for my $n (0 .. 3) {
    leave_all([$inside]);
    my @rest = @crowd[$n .. 5];
    eventually { poll_all(\@rest); $rest[0]{state} eq 'called' } 3, "number $rest[0]{number} is called";
    post_all([$rest[0]]);
    is($rest[0]{state}, 'admitted', 'and gets in');
    $inside = $rest[0];
}
sleep 0.3;

# The one comes back, two segments' worth of numbers behind the boundary.
my @left = @crowd[4, 5];
post_all([$away]);
eventually { poll_all([$away, @left]); ($away->{position} // 0) == 1 } 2, 'one who returns is first';
is_deeply([map { $_->{position} } @left], [2, 3], 'in front of those in the higher segment');
leave_all([$inside]);
eventually { poll_all([$away, @left]); $away->{state} eq 'called' } 3, 'L4: and is called first';
is_deeply([map { $_->{state} } @left], ['waiting', 'waiting'], 'alone');

# A node that knows nothing learns of all segments.
my $other = line_node($redis, $room, name => 'b');
$_->{node} = $other for @left;
eventually { poll_all(\@left); ($left[0]{position} // 0) == 1 && ($left[1]{position} // 0) == 2 } 3,
    'a second node tells the same places';

# Numbers end; nobody is given one that the bitmaps cannot hold.
$redis->cmd('HSET', 'ticket:{show}', 'issued', 1024 * 32768 - 3);
my $last = $node->http('POST', '/queue');
is($last->{json}{number}, 1024 * 32768 - 2, 'the last number but one');
eventually { $node->http('POST', '/queue')->{status} == 503 } 2, 'then joins are refused';
like($node->error_log, qr/all numbers of room "show" are issued/, 'and the log says why');
poll_all(\@left);
is($left[0]{state}, 'waiting', 'those in line go on');

done_testing;
