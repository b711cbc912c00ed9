# L8: nobody passes the gate without having been called: not with a token of
# another room, instance, epoch, key or kind, nor with an altered, truncated,
# expired or released one.  Tokens here are made by the test's own codec.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Ticket::Token qw(token);
use Time::HiRes qw(sleep time);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $room  = 'slots 2; session 3s; claim 5s; liveness 20s;';
my $node  = line_node($redis, $room, extra => <<'CONF');
    location = /instance { ticket_gate show:$arg_show queue=/q; proxy_pass http://unix:%%SOCK%%:/told; }
    location = /local    { ticket_gate show check=local; proxy_pass http://unix:%%SOCK%%:/told; }
CONF
my ($key_id, $secret) = slurp($node->keys_file) =~ /^(\d+)\s+(\S+)/m;
my @crowd = crowd($node, 4);
my ($good) = @crowd;
is($good->{state}, 'admitted', 'the first is admitted');
my ($epoch, $number) = split /-/, $good->{session};
my $token = $good->{jar}->get('ticket-pass-show');
my $queue = $crowd[3]{jar}->get('ticket-queue-show');
my %known = (room => 'show', secret => $secret, key_id => $key_id, epoch => $epoch);

sub gate {
    my ($pass, $path) = @_;
    return $node->http('GET', $path // '/site', {'X-Ticket-Pass' => $pass});
}

is(gate($token)->{body}, $good->{session}, 'its pass goes through');
is(gate(Ticket::Token::pass(%known, number => 1))->{status}, 200, 'the test signs as the module does');

my %refused = (
    'of a number not called'  => Ticket::Token::pass(%known, number => 4),
    'of a number not issued'  => Ticket::Token::pass(%known, number => 4000),
    'of number zero'          => Ticket::Token::pass(%known, number => 0),
    'of another room'         => Ticket::Token::pass(%known, number => 1, room => 'shox'),
    'of an instance'          => Ticket::Token::pass(%known, number => 1, room => 'show:1'),
    'of an earlier epoch'     => Ticket::Token::pass(%known, number => 1, epoch => $epoch - 1),
    'of a later epoch'        => Ticket::Token::pass(%known, number => 1, epoch => $epoch + 1),
    'of another secret'       => Ticket::Token::pass(%known, number => 1, secret => 'ab' x 32),
    'of an unknown key'       => Ticket::Token::pass(%known, number => 1, key_id => $key_id + 1),
    'that has run out'        => Ticket::Token::pass(%known, number => 1, seconds => -1),
    'of another version'      => Ticket::Token::pass(%known, number => 1, version => 2),
    'that is a queue token'   => token(%known, number => 1, kind => 'queue'),
    'that is a real queue token' => $queue,
    'cut short'               => substr($token, 0, 63),
    'made longer'             => $token . 'A',
    'empty'                   => '',
);
for my $what (sort keys %refused) {
    is(gate($refused{$what})->{status}, 403, "L8: a pass $what is refused");
}
my $altered = 0;
for my $at (0 .. 63) {
    my $changed = $token;
    substr($changed, $at, 1) = substr($changed, $at, 1) eq 'B' ? 'C' : 'B';
    $altered++ if gate($changed)->{status} != 403;
}
is($altered, 0, 'L8: a pass with any one character altered is refused');
is(gate($token, '/instance?show=1')->{status}, 403, "L8: a room's pass is no pass of its instance");
is(gate($token)->{status}, 200, 'the good one still goes through');

# A queue token lets nobody through who is not called.
is($node->http('GET', '/site', {'X-Ticket-Queue' => $queue})->{status}, 403, 'L8: nor does waiting');

# Released, it is refused at once, at every process, also as a replay.
leave_all([$good]);
is((grep { gate($token)->{status} == 200 } 1 .. 20), 0, 'L8: a released pass is refused at once');
is(gate($token, '/local')->{status}, 200, 'check=local learns of it only as it runs out');
my $back = $node->http('POST', '/queue', {'X-Ticket-Pass' => $token, 'X-Ticket-Queue' => ''});
isnt($back->{json}{state} // '', 'admitted', 'L8: nor is it taken for a session by the queue');

# It runs out by itself.
my $second = $crowd[1]{jar}->get('ticket-pass-show');
is(gate($second)->{status}, 200, 'the second is inside');
eventually { gate($second)->{status} == 403 } 4, 'L8: a pass runs out';
is(gate($second, '/local')->{status}, 403, 'L8: also where it is checked by its signature only');

done_testing;
