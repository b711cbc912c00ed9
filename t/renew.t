# Sessions that are renewed: who keeps coming stays, until "max" at the latest;
# who stops loses the slot; a session that is over stays over, whatever was
# under way; and a Redis that was emptied changes none of it.

use lib 't/lib';
use MIME::Base64 qw(decode_base64url);
use Ticket::Test;
use Ticket::Http::Jar;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $extra = 'location = /local { ticket_gate show queue=/queue check=local; proxy_pass http://unix:%%SOCK%%:/told; }';

sub enter {
    my ($node) = @_;
    my $jar = Ticket::Http::Jar->new;
    my $answer = $node->http({method => 'POST', path => '/queue', jar => $jar});
    return {jar => $jar, node => $node, state => $answer->{json}{state}, pass => $jar->get('ticket-pass-show'),
        queue => $jar->get('ticket-queue-show'), session => $answer->{json}{session}, began => time};
}

sub at_gate {
    my ($visitor, $path, $node) = @_;
    return ($node // $visitor->{node})->http('GET', $path // '/site', {'X-Ticket-Pass' => $visitor->{pass}})->{status};
}

# The time that a pass says, in seconds.
sub latest { return unpack('Q>', substr decode_base64url($_[0]), 16, 8) / 1000 }

# When the last session of all ends, as Redis has it.
sub last_end {
    my ($redis) = @_;
    my $epoch = $redis->cmd('HGET', 'ticket:{show}', 'epoch') or return 0;
    my $last = $redis->cmd('ZRANGE', "ticket:{show}:$epoch:sess", -1, -1, 'WITHSCORES');
    return @$last ? $last->[1] / 1000 : 0;
}

sub sessions {
    my ($redis) = @_;
    my $epoch = $redis->cmd('HGET', 'ticket:{show}', 'epoch') or return [];
    return $redis->cmd('ZRANGE', "ticket:{show}:$epoch:sess", 0, -1);
}

subtest 'who keeps coming, and who stops' => sub {
    my $redis = Ticket::Redis->new(dir => temp_dir());
    my @node  = map { line_node($redis, 'slots 3; session 3s renew=on max=9s; claim 20s; liveness 60s;', name => $_, extra => $extra) } qw(a b);
    my ($stays, $local, $stops, $next) = map { enter($node[$_ % 2]) } 0 .. 3;
    is $_->{state}, 'admitted', 'inside' for $stays, $local, $stops;
    is $next->{state}, 'waiting', 'and one waits';
    cmp_ok abs(latest($stays->{pass}) - $stays->{began} - 9), '<', 2, 'a pass says the end at the latest';
    my ($most, $until, $called, $turn, $end) = (0, {}, undef, 0, 0);
    while (time < $stays->{began} + 14) {
        my $sent = time;
        my $node = $node[$turn++ % 2];
        for ([$stays, '/site'], [$local, '/local']) {
            my ($visitor, $path) = @$_;
            next if $visitor->{over};
            if (at_gate($visitor, $path, $node) == 200) { $until->{$path} = $sent } else { $visitor->{over} = time }
        }
        my $now = occupied($redis);
        $most = $now if $now > $most;
        $end  = $_ > $end ? $_ : $end for last_end($redis);
        if (!$called && $node->http('GET', '/queue', {'X-Ticket-Queue' => $next->{queue}})->{json}{state} eq 'called') {
            $called = time;
            is at_gate($stops), 403, 'the pass of the one who stopped is refused at the gate';
            is at_gate($stops, '/local'), 403, 'with check=local too';
            ok !$stays->{over}, 'while the one who kept coming is inside';

            # To a node alone the pass looks good, and would shadow the place.
            my %browser = (path => '/site', headers => {Accept => 'text/html'}, jar => $stops->{jar});
            like $node->http({method => 'GET', %browser})->{body}, qr/You are in line/, 'a browser is shown the page';
            ok !defined $stops->{jar}->get('ticket-pass-show'), 'and loses the pass';
            is $node->http({method => 'GET', path => '/queue', jar => $stops->{jar}})->{json}{state}, 'waiting', 'so that it can wait';
        }
        last if $stays->{over} && $local->{over};
        sleep 0.1;
    }
    ok $called, 'the slot of the one who stopped was given on';
    cmp_ok $called // 0, '>=', $stops->{began} + 2.5, 'not before its time';
    for (['/site', $stays], ['/local', $local]) {
        my ($path, $visitor) = @$_;
        cmp_ok $until->{$path}, '>', $visitor->{began} + 5, "$path: who kept coming stayed for longer than a session";
        cmp_ok $until->{$path}, '<=', $visitor->{began} + 9, "$path: but never for longer than max";
        ok $visitor->{over}, "$path: then it was over";
    }
    is $most, 3, 'L2: never more than the slots';
    cmp_ok $end, '<=', latest($local->{pass}), 'nor did Redis ever keep a slot for longer than the pass says';
    $_->stop for @node;
};

subtest 'claiming again' => sub {
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'redis-claim');
    my $node  = line_node($redis, 'slots 1; session 2s renew=on max=60s; claim 20s; liveness 60s;', name => 'claim');
    my ($first, $second) = map { enter($node) } 1, 2;
    leave_all([$first]);
    my $answer;
    my $claim = sub {
        $answer = $node->http('POST', '/queue', {'X-Ticket-Queue' => $second->{queue}});
        ($second->{pass}) = map { /^ticket-pass-show=([^;]+)/ } @{$answer->{set_cookie}};
        return ($answer->{json}{state} // '') eq 'admitted';
    };
    eventually { $claim->() } 5, 'a called visitor is admitted';
    my ($session, $end) = ($answer->{json}{session}, latest($second->{pass}));
    my $began = time;
    while (time < $began + 3) { at_gate($second); sleep 0.1 }
    ok $claim->(), 'and claims again, later than a session lasts';
    is $answer->{json}{session}, $session, 'the same session';
    is latest($second->{pass}), $end, 'with the same end at the latest';
    $node->stop;
};

# Requests that found the session good, and mean to renew it as it ends.
subtest 'a session that is over' => sub {
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'redis-over');
    my @node  = map { line_node($redis, 'slots 5; session 3s renew=on max=60s; claim 20s; liveness 60s;', name => "over-$_") } qw(a b);
    my $revived = 0;
    for (1 .. 15) {
        my $visitor = enter($node[0]);
        sleep 0.35;
        my @headers = ('X-Ticket-Pass' => $visitor->{pass});
        my @requests = map { {method => 'GET', path => '/site', headers => [@headers]} } 1 .. 40;
        splice @requests, 10, 0, {method => 'DELETE', path => '/queue', headers => [@headers]};
        $node[0]->http_many(\@requests, concurrency => 41);
        $revived++ if @{sessions($redis)};
    }
    is $revived, 0, 'is not revived by renewals that were under way';
    my $visitor = enter($node[0]);
    eventually { !@{sessions($redis)} } 8, 'runs out when nobody comes';
    is at_gate($visitor, undef, $_), 403, 'is refused' for @node;
    is_deeply sessions($redis), [], 'and stays away';
    $_->stop for @node;
};

subtest 'a Redis that was emptied' => sub {
    my $redis = Ticket::Redis->new(dir => temp_dir(), name => 'redis-loss');
    my $node  = line_node($redis, 'slots 2; session 3s renew=on max=16s; claim 20s; liveness 60s;', name => 'loss');
    my ($stays, $stops) = (enter($node), enter($node));
    is $_->{state}, 'admitted', 'inside' for $stays, $stops;
    my $next;
    my $come = sub {
        at_gate($stays) == 200 or $stays->{over} //= time;
        at_gate($next) if $next;
        sleep 0.1;
        return;
    };
    while (!$next && time < $stays->{began} + 8) {
        $come->();
        next if occupied($redis) > 1;
        my $visitor = enter($node);
        $next = $visitor if $visitor->{state} eq 'admitted';
    }
    ok $next, 'one takes the place of another who stopped';
    ok !$stays->{over}, 'and the first is still inside';
    $redis->kill9;
    $redis->restart(empty => 1);
    my ($most, $back) = (0);
    while (!$stays->{over} && time < $stays->{began} + 22) {
        $come->();
        my $now = occupied($redis);
        $most = $now if $now > $most;
        next if $back || $now < 2;
        $back = 1;
        is at_gate($stops), 403, 'L2: one that was not renewed does not come back for it';
    }
    ok $back, 'sessions are registered again by their passes';
    is $most, 2, 'L2: never more than the slots';
    ok $stays->{over}, 'max ends a session all the same';
    cmp_ok $stays->{over} // 0, '>', $stays->{began} + 6, 'long after it would have without renewal';
    $node->stop;
};

subtest 'nginx -t' => sub {
    my $node = line_node(Ticket::Redis->new(dir => temp_dir(), name => 'redis-conf'), 'slots 1;', name => 'conf');
    for ('session 10s renew=on;', 'session 10s renew=on max=9s;', 'session 10s max=20s;', 'session 10s renew=off max=20s;',
         'session 10s renew=yes max=20s;', 'session 10s renew=on max=2d;', 'session renew=on max=20s;', 'session 10s renew=on max=x;') {
        my ($status, $err) = $node->test_conf(line_http($_));
        isnt $status, 0, $_;
        like $err, qr/"session" in "ticket_room" takes one time/, 'says what it takes';
    }
    for ('session 10s;', 'session 10s renew=off;', 'session 10s renew=on max=10s;', 'session 10s max=1d renew=on;') {
        my ($status, $err) = $node->test_conf(line_http($_));
        is $status, 0, $_ or diag $err;
    }
    $node->stop;
};

done_testing;
