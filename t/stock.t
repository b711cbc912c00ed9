# Seats left, as whoever sells them says: sold out is told to everybody in
# line, seats that come back are offered, and admit_per_seat bounds how many
# are let in for the seats there are.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep);

my $room = 'slots 50; session 60s; claim 30s; liveness 20s;';

# Sold out, and seats that come back.
{
    my $redis = Ticket::Redis->new(dir => temp_dir());
    my @node  = map { line_node($redis, $room, name => $_) } qw(a b);
    $redis->cmd('SET', 'ticket:{show}:stock', 0);
    my @crowd = map { crowd($node[$_ % 2], 1) } 1 .. 6;
    is((grep { $_->{state} eq 'waiting' } @crowd), 6, 'nobody is let in when all is sold');
    my @told = eventually_sold_out(\@crowd, 1);
    is(scalar @told, 6, 'sold out is told to everybody at both nodes');
    is((grep { $_->{state} eq 'waiting' } @crowd), 6, 'who keep their place');
    $redis->cmd('SET', 'ticket:{show}:stock', 3);
    eventually { poll_all(\@crowd); 6 == grep { $_->{state} eq 'called' } @crowd } 3,
        'seats that come back are offered to those in line';
    is(scalar eventually_sold_out(\@crowd, 0), 6, 'and it is told no more');
    $redis->cmd('SET', 'ticket:{show}:stock', -1);
    is(scalar eventually_sold_out(\@crowd, 1), 6, 'less than none is none');
    $redis->cmd('SET', 'ticket:{show}:stock', 'many');
    my ($one) = crowd($node[0], 1);
    is($one->{state}, 'admitted', 'what is no number says nothing');
}

# Polls everybody until sold_out is as wanted; returns for whom it is.
sub eventually_sold_out {
    my ($crowd, $wanted) = @_;
    my @told;
    for (1 .. 40) {
        @told = grep { !!$_->{json}{sold_out} == !!$wanted } poll_all($crowd);
        last if @told == @$crowd;
        sleep 0.1;
    }
    return @told;
}

# admit_per_seat: sessions and calls stay below a multiple of the seats left.
{
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'few');
    my $node  = line_node($redis, "$room admit_per_seat 1.5;", name => 'c');
    $redis->cmd('SET', 'ticket:{show}:stock', 4);
    my @crowd = crowd($node, 20);
    eventually { poll_all(\@crowd); occupied($redis) == 6 } 3, 'one and a half for each of four seats';
    sleep 0.5;
    is(occupied($redis), 6, 'and no more');
    $redis->cmd('SET', 'ticket:{show}:stock', 2);
    my @in = grep { $_->{state} eq 'admitted' } @crowd;
    leave_all([@in[0 .. 1]]) if @in >= 2;
    sleep 0.5;
    my $then = occupied($redis);
    cmp_ok($then, '<=', 6, 'nobody is called while more are in than seats warrant');
    $redis->cmd('SET', 'ticket:{show}:stock', 10);
    eventually { poll_all(\@crowd); occupied($redis) == 15 } 3, 'more seats, more are called';
    $redis->cmd('DEL', 'ticket:{show}:stock');
    eventually { poll_all(\@crowd); occupied($redis) >= 18 } 3, 'nobody says: no such limit';
}

done_testing;
