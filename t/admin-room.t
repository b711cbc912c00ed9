# Settings changed at run time take effect at all nodes within an interval,
# and are kept: through reload, restart, a killed worker and an emptied Redis.
# Then what an operator does to a line: reset, call, revoke.

use lib 't/lib';
use Ticket::Test;
use Ticket::Admin;
use Ticket::Line;
use Ticket::Redis;
use Ticket::Http::Jar;
use POSIX qw(strftime);
use Time::HiRes qw(sleep);

my $claim  = 60_000;
my $common = 'session 60s; claim 60s; liveness 30s;';

sub nodes {
    my ($name, $settings, @option) = @_;
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => "redis-$name");
    return ($redis, map { admin_node($redis, "$settings $common", name => "$name-$_", @option) } 'a', 'b');
}

sub newcomer { return Ticket::Http::Jar->new }

# What a newcomer is told at the queue, and at the gate.
sub join_at { my ($node, $jar) = @_; return $node->http({method => 'POST', path => '/queue', jar => $jar // newcomer()}) }
sub site    { my ($node, $jar) = @_; return $node->http({method => 'GET', path => '/site', jar => $jar // newcomer()}) }

sub states { my ($visitors) = @_; poll_all($visitors); return map { $_->{state} } @$visitors }

# paused
{
    my ($redis, @node) = nodes('paused', 'slots 2;');
    set($node[0], {paused => \1});
    my @crowd = map { crowd($_, 3) } @node;
    is((grep { $_->{state} eq 'waiting' } @crowd), 6, 'paused: all wait, though the room is empty');
    eventually { (grep { $_->{json}{paused} } poll_all(\@crowd)) == 6 } 3, 'and are told at both nodes';
    sleep 0.5;
    is(occupied($redis), 0, 'nobody is called');
    is(command($node[1], 'call', count => 1)->{done}, 1, 'unless the operator calls');
    set($node[1], {paused => \0});
    eventually { occupied($redis) == 2 } 3, 'it goes on when told to';
    eventually { !grep { $_->{json}{paused} } poll_all(\@crowd) } 3, 'and tells so at both nodes';
    is(join(' ', map { $_->{state} } sort { $a->{number} <=> $b->{number} } @crowd),
       'called called waiting waiting waiting waiting', 'L4: in order');
}

# queue_all
{
    my ($redis, @node) = nodes('queue', '');
    set($node[0], {queue_all => \1});
    my @new = map { crowd($node[1], 1) } 1 .. 3;
    is(join(' ', map { $_->{state} } @new), 'waiting waiting waiting', 'queue_all: newcomers to an empty room get a place');
    eventually { !grep { $_ ne 'called' } states(\@new) } 3, 'and are called';
    is(join(' ', numbers(@new)), '1 2 3', 'in order');
    set($node[1], {queue_all => undef});
    is(join_at($node[0])->{json}{state}, 'admitted', 'without it they are admitted at once');
}

# mode reject
{
    my ($redis, @node) = nodes('reject', 'slots 2;');
    my @inside = crowd($node[0], 2);
    my @crowd  = map { crowd($_, 2) } @node;
    set($node[0], {mode => 'reject'});
    eventually { join_at($node[0])->{status} == 403 && join_at($node[1])->{status} == 403 } 3,
        'reject: newcomers are refused at both nodes';
    is(join_at($node[1])->{json}{code}, 'closed', 'as closed');
    is(site($node[1])->{status}, 403, 'at the gate, too');
    eventually { !grep { $_ ne 'closed' } states(\@crowd) } 3, 'those in line are told so';
    my @number = numbers(@crowd);
    leave_all(\@inside);
    sleep 0.5;
    is(occupied($redis), 0, 'and not called');
    is(command($node[0], 'call', count => 2)->{done}, 0, 'not even by the operator');
    set($node[1], {mode => 'fifo'});
    eventually { join(' ', states(\@crowd)) eq 'called called waiting waiting' } 3, 'L4: afterwards they have their places';
    is_deeply([numbers(@crowd)], \@number, 'L5: and numbers');
}

# mode passthrough
{
    my ($redis, @node) = nodes('pass', 'slots 2; rate 5 1s;');
    my @inside = crowd($node[0], 2);
    my @crowd  = map { crowd($_, 10) } @node;
    set($node[1], {mode => 'passthrough'});
    eventually { !grep { $_ eq 'waiting' } states(\@crowd) } 3, 'passthrough: all in line are called';
    post_all(\@crowd);
    is((grep { $_->{state} ne 'admitted' } @crowd), 0, 'and admitted');
    is((grep { join_at($_)->{json}{state} ne 'admitted' } @node, @node), 0, 'newcomers too');
    eventually { site($node[0])->{status} == 200 && site($node[1])->{status} == 200 } 3, 'the gate is open at both nodes';
    is(site($node[0])->{body}, '', 'with nobody\'s name');
    set($node[0], {mode => undef});
    eventually { site($node[0])->{status} == 403 && site($node[1])->{status} == 403 } 3, 'and closed again';
    my @new = crowd($node[1], 5);
    sleep 1.5;
    poll_all(\@new);
    is((grep { $_->{state} ne 'waiting' } @new), 0, 'L2: nobody is called before those who came in have left');
    leave_all([@crowd, @inside]);
    my $total = room($node[0])->{sessions};
    is($total, 4, 'four are left');
    set($node[1], {slots => 100});
    eventually { !grep { $_ ne 'called' } states(\@new) } 5, 'then the line goes on, and not only when all their rate is used up';
    my @at = call_times($redis, $claim);
    cmp_ok(most_in(1000, @at), '<=', 5, 'L3: at the rate');
}

# Kept: settings through all that may happen.
{
    my ($redis, @node) = nodes('kept', 'slots 2;');
    my %set = (slots => 7, rate => 70, per_ms => 7000, mode => 'reject', paused => \1, queue_all => \1);
    set($node[0], \%set);
    my $is = sub {
        my ($name) = @_;
        local $Test::Builder::Level = $Test::Builder::Level + 1;
        eventually {
            my $got = join ',', map {
                my $s = room($_)->{settings};
                join ' ', map { ref $s->{$_} ? 0 + $s->{$_} : $s->{$_} } qw(slots rate per_ms mode paused queue_all);
            } @node;
            $got eq join ',', ('7 70 7000 reject 1 1') x 2;
        } 8, $name;
    };
    $is->('set');
    $node[0]->reload;
    $is->('after a reload');
    $node[0]->kill_worker9;
    $is->('after the death of a worker');
    $node[0]->stop;
    $node[0]->start;
    $is->('after a restart of nginx');
    room($node[1]);
    sleep 0.5;
    $redis->cmd('FLUSHALL');
    $is->('after FLUSHALL');
    eventually { join_at($node[0])->{json}{code} eq 'closed' } 5, 'and in force';
    $redis->restart(empty => 1);
    $is->('after a restart of Redis without its data');
    $redis->cmd('FLUSHALL');
    $node[$_ % 2]->kill_worker9 for 0 .. 3;
    $is->('after FLUSHALL and the death of all workers');

    set($node[1], {map { $_ => undef } keys %set});
    eventually { room($node[0])->{settings}{slots} == 2 } 3, 'null puts back what nginx.conf says';
    set($node[0], {slots => 9});
    for my $node (@node) {
        $node->configure(http => $node->{http} =~ s/slots 2;/slots 3; rate 33 3s;/r);
        $node->reload;
    }
    eventually { my $s = room($node[1]); ($s->{settings}{rate} // 0) == 33 && $s->{settings}{slots} == 9 } 3,
        'a new nginx.conf counts where nothing was set';
    is(room($node[0])->{defaults}{slots}, 3, 'its slots are a default');
    set($node[0], {slots => undef});
    is(room($node[1])->{settings}{slots}, 3, 'that null brings');
}

# What has been acknowledged holds at once, and not only with the next exchange.
{
    my ($redis, @node) = nodes('once', 'slots 2;', zone => 'rooms:4m interval=1s');
    my ($inside) = crowd($node[1], 1);
    is(site($node[1], $inside->{jar})->{status}, 200, 'one is inside');
    for my $slots (5 .. 8) {
        set($node[0], {slots => $slots});
        $redis->cmd('FLUSHALL');
        is(room($node[0])->{settings}{slots}, $slots, "a change is kept though Redis was emptied at once: $slots");
    }
    eventually { !room($node[1])->{settling} && site($node[1], $inside->{jar})->{status} == 200 } 8, 'recovered';
    command($node[0], 'reset');
    is(site($node[1], $inside->{jar})->{status}, 403, 'after a reset, another node refuses the pass at once');
}

# reset
{
    my ($redis, @node) = nodes('reset', 'slots 2;');
    set($node[0], {slots => 3});
    my @inside = map { crowd($_, 1) } @node;
    my @called = crowd($node[0], 1);
    my @crowd  = map { crowd($_, 20) } @node;
    my @cookies = map { $_->{jar}->header } @crowd;
    my @passes  = map { $_->{jar}->header } @inside;
    is((grep { site($node[$_], $inside[$_]{jar})->{status} == 200 } 0, 1), 2, 'two are inside');
    eventually { poll_all(\@crowd); !grep { !defined $_->{position} } @crowd } 3, 'and forty in line';
    my $before = room($node[0])->{epoch};
    my $after  = command($node[0], 'reset');
    cmp_ok($after->{epoch}, '>', $before, 'reset: a new epoch');
    is($after->{done}, $after->{epoch}, 'which it tells');
    is_deeply([@$after{qw(issued called in_line calls sessions)}], [0, 0, 0, 0, 0], 'an empty line');
    is($after->{settings}{slots}, 3, 'settings stay');

    # Polls go on as the nodes hear of it.
    my @old = map { my $i = $_; {method => 'GET', path => '/queue', headers => {Cookie => $cookies[$i]}} } 0 .. $#cookies;
    my %past = (0 => 0, 1 => 0);
    my $until = time + 3;
    while (time < $until) {
        for my $n (0, 1) {
            $past{$n} = grep { $_->{status} == 410 && $_->{json}{code} eq 'past_epoch' } @{$node[$n]->http_many(\@old)};
        }
    }
    is($past{$_}, 40, "old queue tokens are past at node $_") for 0, 1;
    my @refused = map { $node[$_]->http('GET', '/site', {Cookie => $passes[0], Accept => 'application/json'}) } 0, 1;
    is(join(' ', map { $_->{status} } @refused), '403 403', 'old passes are refused at the gate');
    my $now = room($node[1]);
    is_deeply([@$now{qw(issued called in_line calls sessions)}], [0, 0, 0, 0, 0],
              'who polled in the old line does not stand in the new one');
    my @new = map { crowd($node[$_ % 2], 1) } 1 .. 5;
    is(join(' ', numbers(@new)), '1 2 3 4 5', 'numbers begin at 1, at both nodes');
    is(join(' ', map { $_->{state} } @new), 'admitted admitted admitted waiting waiting', 'with all slots free');
    eventually { join(' ', map { $_->{position} // '' } grep { poll_all([$_]) } @new[3, 4]) eq '1 2' } 3, 'and positions';
}

# A drawn room: an operator names numbers, and Redis knows places.
{
    my $at = sub { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) };
    my $opens = int(time) + 4;
    my ($redis, @node) = nodes('draw', 'slots 3; draw on; prequeue ' . $at->($opens - 60) . '; opens ' . $at->($opens) . ';');
    my @crowd = map { crowd($node[$_ % 2], 1) } 1 .. 24;
    my $state = room($node[0]);
    is_deeply([$state->{phase}, $state->{draw}], ['prequeue', {held_at_ms => undef, entries => undef}], 'before the draw');
    is(command($node[0], 'call', count => 3)->{done}, 0, 'nobody can be called before the opening');
    eventually { poll_all(\@crowd); (grep { $_->{state} eq 'called' } @crowd) == 3 } 15, 'the draw is held, and three are called';
    is(room($node[1])->{draw}{entries}, 24, 'twenty-four took part');
    my ($out, @other) = grep { $_->{state} eq 'called' } @crowd;
    is(command($node[1], 'revoke', number => $out->{number})->{done}, 1, 'one of those called is revoked');
    my $number = admin($node[0], 'GET', "show/$out->{number}")->{json};
    is_deeply([map { $_->{what} } @{$number->{events}}], [qw(drawn left)], 'by number');
    eventually { poll_all(\@crowd); (grep { $_->{state} eq 'called' } @crowd) == 4 } 5, 'and the next is called';
    post_all(\@other);
    is((grep { $_->{state} eq 'admitted' } @other), 2, 'the others called come in');
    my $key = $redis->cmd('HGET', 'ticket:{show}', 'draw_key');
    command($node[0], 'reset');
    eventually { !room($node[1])->{settling} } 5, 'after a reset';
    my @new = map { crowd($node[$_ % 2], 1) } 1 .. 6;
    is(join(' ', numbers(@new)), '1 2 3 4 5 6', 'numbers begin at 1');
    my $draw = room($node[1])->{draw};
    is($draw->{entries}, 0, 'and nobody takes part in the draw of before');
    isnt($redis->cmd('HGET', 'ticket:{show}', 'draw_key'), $key, 'whose key is not used again');
    eventually { poll_all([@new[3 .. 5]]); join(' ', map { $_->{position} // '' } @new[3 .. 5]) eq '1 2 3' } 5, 'places are numbers';
}

# call and revoke
{
    my ($redis, @node) = nodes('call', 'slots 4; rate 100 1s;');
    set($node[0], {paused => \1});
    my @crowd = map { crowd($node[$_ % 2], 1) } 1 .. 8;
    my $state = command($node[0], 'call', count => 3);
    is_deeply([@$state{qw(done calls in_line called)}], [3, 3, 5, 3], 'call: as many as told');
    eventually { join(' ', states(\@crowd)) eq join ' ', ('called') x 3, ('waiting') x 5 } 3, 'L4: in order';
    is(command($node[1], 'call', count => 3)->{done}, 1, 'L2: no more than the slots allow');
    is(command($node[1], 'call', count => 3)->{done}, 0, 'and then none');
    set($node[1], {slots => 100, rate => 5});
    is(command($node[1], 'call', count => 3)->{done}, 1, 'L3: no more than the rate allows');
    $redis->cmd('SET', 'ticket:{show}:stock', 0);
    sleep 1.2;
    is(command($node[1], 'call', count => 3)->{done}, 0, 'none when all is sold');
    $redis->cmd('DEL', 'ticket:{show}:stock');
    cmp_ok(most_in(1000, call_times($redis, $claim)), '<=', 5, 'L3 holds');

    set($node[0], {slots => 5});
    eventually { states([$crowd[0]]); $crowd[0]{state} eq 'called' } 3, 'the first is called';
    post_all([$crowd[0]]);
    my $pass = $crowd[0]{jar}->header;
    is(site($node[1], $crowd[0]{jar})->{status}, 200, 'and goes in');
    set($node[0], {paused => \0});
    sleep 0.5;
    is(occupied($redis), 5, 'all slots are taken');
    is(command($node[1], 'revoke', number => $crowd[0]{number})->{done}, 1, 'revoke');
    is($node[0]->http('GET', '/site', {Cookie => $pass})->{status}, 403, 'the pass is refused at the gate');
    eventually { (states([$crowd[5]]))[0] eq 'called' } 3, 'the slot is free for the next';
    is(occupied($redis), 5, 'L2: and for no other');
    my $number = admin($node[0], 'GET', "show/$crowd[0]{number}")->{json};
    is($number->{events}[-1]{what}, 'left', 'the number tells of it');
    command($node[1], 'revoke', number => $crowd[6]{number});
    eventually { room($node[0])->{in_line} == 1 } 3, 'one who waits is taken out of line';
    set($node[0], {slots => 0, rate => 0});
    eventually { (states([$crowd[7]]))[0] eq 'called' } 3, 'the others go on';
    eventually { (each_visitor([$crowd[6]], 'POST'))[0]{status} == 410 } 3, 'and the place is spent';
}

done_testing;
