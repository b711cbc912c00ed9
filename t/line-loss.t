# Redis killed with -9 and restarted, empty or with its data, while 200
# visitors wait at two nodes: all keep their number and order, no number is
# given twice (L1), and the sessions that were out count against the slots
# until they are accounted for (L2).

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $room = 'slots 4; session 10s; claim 5s; liveness 30s;';

sub settled {
    my ($visitors) = @_;
    poll_all($visitors);
    return !grep { ($visitors->[$_]{position} // -1) != $_ + 1 } 0 .. $#$visitors;
}

for my $case ({name => 'empty', aof => 0}, {name => 'data', aof => 1}) {
    my $name  = $case->{name};
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => "redis-$name", aof => $case->{aof},
        options => ['--appendfsync', 'always']);
    my @node  = map { line_node($redis, $room, name => "$name-$_") } qw(a b);
    my @crowd = map { crowd($node[$_ % 2], 1) } 1 .. 204;
    my @inside  = grep { $_->{state} eq 'admitted' } @crowd;
    my @waiting = grep { $_->{state} eq 'waiting' } @crowd;
    is(scalar @waiting, 200, "$name: 200 wait at two nodes, 4 are inside");
    eventually { settled(\@waiting) } 5, "$name: all have their position";

    my %number = map { $_ => $_->{number} } @waiting;
    $redis->kill9;
    sleep 0.3;
    my @away = poll_all(\@waiting);
    is((grep { $_->{status} != 200 || $_->{json}{state} ne 'waiting' } @away), 0,
       "$name: polls go on while Redis is away");
    is_deeply([map { $_->{position} } @waiting], [1 .. 200], "$name: and tell the same positions");
    my $refused = $node[0]->http('POST', '/queue');
    is($refused->{status}, 503, "$name: a new join is answered with 503");
    is($refused->{json}{code}, 'unavailable', "$name: as a problem");
    ok($refused->{headers}{'retry-after'}, "$name: with Retry-After");
    my ($through) = each_visitor([$inside[0]], 'GET', path => '/site');
    is($through->{status}, 200, "$name: a pass is good by its signature meanwhile");
    is($through->{body}, $inside[0]{session}, "$name: and names the session");

    my $lost = time;
    $redis->restart(empty => $case->{aof} ? 0 : 1);

    # What an emptied Redis must not do is taken from it as it recovers.
    my ($most, $changed, $wrong, $called) = (0, 0, 0, 0);
    my ($ready, $resumed);
    while (time < $lost + 4.5) {
        poll_all(\@waiting);
        $changed += grep { $_->{number} != $number{$_} } @waiting;
        $called  += grep { $_->{state} ne 'waiting' } @waiting;
        $ready  //= time - $lost if defined $waiting[0]{updated_ms} && $waiting[0]{updated_ms} < 200;
        if (!defined $resumed && $ready) {
            each_visitor([$inside[0]], 'GET', path => '/site');
            $resumed = occupied($redis);
        }
        sleep 0.1;
    }
    if ($name eq 'empty') {
        cmp_ok($resumed, '>=', 1, "$name: L2: a pass of before has its session registered again");
    }
    ok($ready, sprintf "$name: exchanges go on %.1f s after", $ready // -1);
    is($changed, 0, "$name: L5: all keep their number");
    is($called, 0, "$name: L2: nobody is called while the four sessions may be in being");
    ok(settled(\@waiting), "$name: L4: all keep their order");

    # Newcomers: behind everybody, with numbers nobody has.
    my @new = crowd($node[1], 3);
    cmp_ok($_->{number}, '>', 204, "$name: L1: a new number is above all given") for @new;
    is($new[0]{state}, 'waiting', "$name: and waits");
    eventually { settled([@waiting, @new]) } 3, "$name: behind the others";

    # The old sessions run out; then the line moves in order, and no faster
    # than the slots allow.
    my (@admitted, $overtaken);
    my $deadline = time + 14;
    my @line = (@waiting, @new);
    while (time < $deadline && @admitted < 6) {
        poll_all(\@line);
        my @claim = grep { $_->{state} eq 'called' } @line;
        post_all(\@claim) if @claim;
        push @admitted, grep { $_->{state} eq 'admitted' } @line;
        @line = grep { $_->{state} ne 'admitted' } @line;
        my $now = occupied($redis);
        $most = $now if $now > $most;
        leave_all([$admitted[0]]) if @admitted == 4;
        leave_all([$admitted[1]]) if @admitted == 5;
        sleep 0.1;
    }
    is_deeply([sort { $a <=> $b } numbers(@admitted)], [5 .. 10], "$name: the line moves on, in order");
    cmp_ok($most, '<=', 4, "$name: L2: never more than the slots");
    $_->stop for @node;
    $redis->stop;
}

done_testing;
