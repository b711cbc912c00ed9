# L7: a poll sends nothing to Redis.  What Redis is asked in the time of
# 10,000 polls is what the exchange asks, and that goes by the clock.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $node  = line_node($redis, 'slots 5; session 60s; claim 30s; liveness 30s;');
my @crowd = crowd($node, 105);
my @waiting = grep { $_->{state} eq 'waiting' } @crowd;
my @inside  = grep { $_->{state} eq 'admitted' } @crowd;
sleep 0.5;
poll_all(\@waiting);
is($waiting[-1]{position}, 100, 'a hundred wait');

my $before = $redis->commandstats;
my $start  = time;
my @polls  = map { my $v = $_; map { {method => 'GET', path => '/queue', jar => $v->{jar}} } 1 .. 96 } @waiting, @inside;
my $answers = Ticket::Http->new($node->target)->many(\@polls, concurrency => 60);
my $seconds = time - $start;
my $after  = $redis->commandstats;

cmp_ok(scalar @polls, '>=', 10_000, scalar(@polls) . ' polls, of those in line and those inside');
is((grep { $_->{status} != 200 } @$answers), 0, 'all answered with 200');
is((grep { $_->{json}{state} eq 'admitted' } @$answers), 5 * 96, 'those inside as admitted');

# The test itself asks for INFO only; scripts are the exchange's.
my $scripts = ($after->{evalsha} // 0) - ($before->{evalsha} // 0);
my $due     = $seconds / 0.1;
cmp_ok($scripts, '<=', $due * 1.5 + 3, sprintf 'L7: %d scripts in %.1f s, one for each exchange', $scripts, $seconds);
for my $command (qw(zscore ping script eval)) {
    is($after->{$command} // 0, $before->{$command} // 0, "L7: no $command came of the polls");
}

# While Redis stands still, polls are answered all the same.
my $pid = $redis->pid;
kill STOP => $pid;
my @stopped = poll_all(\@waiting);
kill CONT => $pid;
is((grep { $_->{status} == 200 && $_->{json}{state} eq 'waiting' } @stopped), 100,
   'L7: polls are answered while Redis stands still');

# Presence is delivered all the same: nobody was called or dropped.
sleep 0.5;
poll_all(\@waiting);
is_deeply([map { $_->{position} } @waiting], [1 .. 100], 'and all places are as before');

done_testing;
