# The queue location: every row of the table in docs/design.md, with its
# status, headers, cookies and JSON; the variables; the metrics.

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Ticket::Test;
use Ticket::Http::Jar;
use Ticket::Metrics;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Token qw(token);
use Time::HiRes qw(sleep);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $nginx = Ticket::Nginx->new(redis => $redis, http => <<'END');
    ticket_redis unix:%%REDIS%% timeout=1s;
    ticket_zone  rooms:8m interval=50ms;
    ticket_keys  %%KEYS%%;
    ticket_room  open  { session 1h; early_polls allow; }
    ticket_room  one   { slots 1; session 1h; claim 1h; liveness 1h; early_polls allow; }
    ticket_room  brief { slots 1; session 1s; early_polls allow; }
    ticket_room  show  { slots 1; session 1h; early_polls allow; }
    ticket_room  count { slots 1; session 1h; claim 1h; early_polls allow; }
    server {
        listen unix:%%SOCK%%;
        add_header X-State $ticket_state always;
        add_header X-Vars "$ticket_room/$ticket_number/$ticket_position/$ticket_waiting/$ticket_session" always;
        add_header X-Pass $ticket_pass always;
        add_header X-Identity $ticket_identity always;
        add_header X-Refresh $ticket_refresh always;
        add_header X-Queue-Url $ticket_queue_url always;
        location = /open    { ticket_queue open; }
        location = /one     { ticket_queue one; }
        location = /brief   { ticket_queue brief; }
        location = /show    { ticket_queue show:$arg_show; }
        location = /any     { ticket_queue $arg_room; }
        location = /count   { ticket_queue count; }
        location = /gate    { ticket_gate count; empty_gif; }
        location = /https   { ticket_queue open; ticket_cookie_secure on; }
        location = /https-show { ticket_queue show:$arg_show; ticket_cookie_secure on; }
        location = /auto    { ticket_queue open; ticket_cookie_secure auto; }
        location = /metrics { ticket_metrics; }
        location = /other   { return 200; }
    }
END

my ($secret) = slurp($nginx->keys_file) =~ /^1 ([0-9a-f]+)$/m;

sub ask {
    my ($method, $path, %more) = @_;
    return $nginx->http({method => $method, path => $path, %more});
}

# A new visitor of the location who has joined: the jar, and the answer.
sub join_line {
    my ($path) = @_;
    my $jar = Ticket::Http::Jar->new;
    return ($jar, ask('POST', $path, jar => $jar));
}

# True for what JSON writes as a whole number.
sub is_whole {
    my ($value) = @_;
    return defined $value && JSON::PP->new->allow_nonref->encode($value) =~ /^(?:0|[1-9][0-9]*)$/;
}

my %whole = map { $_ => 1 } qw(number position ahead waiting poll_after_ms updated_ms expires_in_ms);

# The answer is the state, in full and with nothing else in it.
sub state_is {
    my ($answer, $status, $state, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @members = qw(state room number poll_after_ms paused sold_out updated_ms);
    push @members, qw(position ahead waiting eta)  if $state eq 'waiting';
    push @members, qw(session expires_in_ms)       if $state eq 'admitted';
    my $json = $answer->{json} // {};
    my $good = $answer->{status} == $status && ($json->{state} // '') eq $state
        && $answer->{headers}{'content-type'} eq 'application/json'
        && join(' ', sort keys %$json) eq join(' ', sort @members)
        && !grep({ !is_whole($json->{$_}) } grep { $whole{$_} && defined $json->{$_} } @members)
        && !grep({ !JSON::PP::is_bool($json->{$_}) || $json->{$_} } qw(paused sold_out))
        && is_whole($json->{number}) && is_whole($json->{poll_after_ms})
        && (!exists $json->{session} || $json->{session} =~ /^[0-9]+-\Q$json->{number}\E$/)
        && (!defined $json->{eta} || join(' ', sort keys %{$json->{eta}}) eq 'max min'
            && !grep { !is_whole($_) } values %{$json->{eta}});
    ok($good, $name) or diag explain $answer;
    is $answer->{headers}{'cache-control'}, 'no-store', "$name: not cached";
    return;
}

my %status_of = (
    malformed => 400, no_token => 401, bad_token => 403, no_such_room => 404, method_not_allowed => 405,
    past_epoch => 410, spent => 410, unavailable => 503,
);

sub problem_is {
    my ($answer, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $json = $answer->{json} // {};
    my $good = $answer->{status} == $status_of{$code}
        && $answer->{headers}{'content-type'} eq 'application/problem+json'
        && join(' ', sort keys %$json) eq 'code detail status title type'
        && $json->{type} eq 'about:blank' && is_whole($json->{status})
        && $json->{status} == $answer->{status} && $json->{code} eq $code
        && length $json->{title} && length $json->{detail};
    ok($good, $name) or diag explain $answer;
    is $answer->{headers}{'cache-control'}, 'no-store', "$name: not cached";
    return;
}

# The Set-Cookie lines as name => [value, attributes], each only once.
sub cookies_of {
    my ($answer) = @_;
    my %cookie;
    for my $line (@{$answer->{set_cookie}}) {
        my ($name, $value, $attributes) = $line =~ /^([^=]+)=([^;]*); (.*)$/ or die "bad Set-Cookie: $line\n";
        die "set twice: $name\n" if $cookie{$name};
        $cookie{$name} = [$value, $attributes];
    }
    return \%cookie;
}

sub cleared {
    my ($answer, @names) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply cookies_of($answer),
        {map { $_ => ['', 'Path=/; Max-Age=0; HttpOnly; SameSite=Lax'] } @names},
        @names ? "clears @names" : 'sets no cookie';
}

my $token = qr/^[A-Za-z0-9_-]{64}$/;

subtest 'POST without a token, nobody waits and there is room' => sub {
    my ($jar, $answer) = join_line('/open');
    state_is($answer, 201, 'admitted', 'admitted at once');
    is $answer->{json}{room}, 'open', 'the room';
    is $answer->{json}{number}, 1, 'the first number';
    cmp_ok $answer->{json}{expires_in_ms}, '<=', 3_600_000, 'no longer than the session lasts';
    cmp_ok $answer->{json}{expires_in_ms}, '>', 3_590_000, 'which has just begun';
    my $cookies = cookies_of($answer);
    is join(' ', keys %$cookies), 'ticket-pass-open', 'a pass alone';
    like $cookies->{'ticket-pass-open'}[0], $token, 'of 64 characters';
    my ($age) = $cookies->{'ticket-pass-open'}[1] =~ m{^Path=/; Max-Age=([0-9]+); HttpOnly; SameSite=Lax$};
    cmp_ok $age // 0, '>=', 3590, 'a cookie for as long as the session';
    cmp_ok $age // 1e9, '<=', 3600, 'and no longer';
    unlike $answer->{body}, qr/\Q$cookies->{'ticket-pass-open'}[0]\E/, 'the token is not in the body';
    is $answer->{headers}{'x-state'}, 'admitted', '$ticket_state';
    is $answer->{headers}{'x-vars'}, "open/1///$answer->{json}{session}", 'variables of an admission';
    is $answer->{headers}{'x-pass'}, $cookies->{'ticket-pass-open'}[0], '$ticket_pass';
    ok !exists $answer->{headers}{'x-identity'}, '$ticket_identity is empty';

    for my $method (qw(POST GET)) {
        my $again = ask($method, '/open', jar => $jar);
        state_is($again, 200, 'admitted', "$method with the pass");
        is $again->{json}{session}, $answer->{json}{session}, 'is the same session';
        cleared($again);
        my $by_header = ask($method, '/open', headers => {'X-Ticket-Pass' => $jar->get('ticket-pass-open')});
        state_is($by_header, 200, 'admitted', "$method with the pass in a header");
        is $by_header->{json}{session}, $answer->{json}{session}, 'is it, too';
    }
    is +(join_line('/open'))[1]{json}{number}, 2, 'the next visitor has the next number';
};

my ($first, $second, $third);

subtest 'POST without a token, when the room is full' => sub {
    my $answer;
    ($first, $answer) = join_line('/one');
    state_is($answer, 201, 'admitted', 'the first is admitted');
    ($second, $answer) = join_line('/one');
    state_is($answer, 201, 'waiting', 'the second waits');
    is $answer->{json}{number}, 2, 'with number 2';
    my $cookies = cookies_of($answer);
    is join(' ', keys %$cookies), 'ticket-queue-one', 'a queue token alone';
    like $cookies->{'ticket-queue-one'}[0], $token, 'of 64 characters';
    is $cookies->{'ticket-queue-one'}[1], 'Path=/; Max-Age=604800; HttpOnly; SameSite=Lax', 'its attributes';
    unlike $answer->{body}, qr/\Q$cookies->{'ticket-queue-one'}[0]\E/, 'the token is not in the body';
    eventually { ask('GET', '/one', jar => $second)->{json}{position} } 5, 'a position, after an exchange';
    ($third) = join_line('/one');
    eventually { ask('GET', '/one', jar => $second)->{json}{waiting} == 2 } 5, 'two are waiting';
    my %shown = map { $_ => ask('GET', '/one', jar => $_ == 2 ? $second : $third)->{json} } 2, 3;
    is_deeply [map { @{$shown{2}}{$_} } qw(number position ahead waiting eta)], [2, 1, 0, 2, undef], 'the second';
    is_deeply [map { @{$shown{3}}{$_} } qw(number position ahead waiting eta)], [3, 2, 1, 2, undef], 'the third';
    cmp_ok $shown{2}{poll_after_ms}, '>=', 700, 'poll_after_ms';
    cmp_ok $shown{2}{updated_ms}, '<', 2000, 'updated_ms';
};

subtest 'GET with a queue token' => sub {
    my $answer = ask('GET', '/one', jar => $second);
    state_is($answer, 200, 'waiting', 'by cookie');
    cleared($answer);
    is $answer->{headers}{'x-state'}, 'waiting', '$ticket_state';
    is $answer->{headers}{'x-vars'}, 'one/2/1/2/', 'variables of one who waits';
    ok !exists $answer->{headers}{'x-pass'}, '$ticket_pass is empty';
    like $answer->{headers}{'x-refresh'}, qr/^[2-9]$/, '$ticket_refresh';
    state_is(ask('GET', '/one', headers => {'x-tIcKeT-qUeUe' => $second->get('ticket-queue-one')}),
        200, 'waiting', 'by header, of any case');
    my $both = ask('GET', '/one', jar => $second, headers => {'X-Ticket-Queue' => $third->get('ticket-queue-one')});
    is $both->{json}{number}, 3, 'the header wins over the cookie';
    my $bad = ask('GET', '/one', jar => $second, headers => {'X-Ticket-Queue' => 'x'});
    problem_is($bad, 'bad_token', 'also a bad one');
    cleared($bad);
    my $cookies = 'a=b; ticket-queue-on=x;  ticket-queue-one=' . $second->get('ticket-queue-one') . ';ticket-queue-onex=y';
    is ask('GET', '/one', headers => {Cookie => $cookies})->{json}{number}, 2, 'among other cookies';
    is ask('GET', '/one', headers => [Cookie => 'a=b', Cookie => $second->header])->{json}{number}, 2,
        'in a second Cookie header';
    problem_is(ask('GET', '/one', headers => {Cookie => 'Ticket-Queue-one=' . $second->get('ticket-queue-one')}),
        'no_token', 'names of cookies have their case');
};

subtest 'HEAD' => sub {
    my $answer = ask('HEAD', '/one', jar => $second);
    is $answer->{status}, 200, 'as GET';
    is $answer->{body}, '', 'without a body';
    is $answer->{headers}{'content-type'}, 'application/json', 'with its type';
    is $answer->{headers}{'cache-control'}, 'no-store', 'not cached';
    cmp_ok $answer->{headers}{'content-length'}, '>', 100, 'and length';
    is ask('HEAD', '/one')->{status}, 401, 'without a token';
    is ask('HEAD', '/one', headers => {Cookie => 'ticket-queue-one=x'})->{status}, 403, 'with a bad one';
};

subtest 'POST with a queue token, not called' => sub {
    my $answer = ask('POST', '/one', jar => $second);
    state_is($answer, 200, 'waiting', 'still waiting');
    is $answer->{json}{number}, 2, 'with the same number';
    cleared($answer);
};

subtest 'without a good token' => sub {
    for my $method (qw(GET DELETE)) {
        my $answer = ask($method, '/one');
        problem_is($answer, 'no_token', "$method without a token");
        cleared($answer);
    }
    my %bad = (
        garbage => 'x', empty => '', 'right length' => 'A' x 64, 'of another room' => $second->get('ticket-queue-one'),
    );
    for my $what (sort keys %bad) {
        for my $method (qw(GET POST DELETE)) {
            my $path = $what eq 'of another room' ? '/open' : '/one';
            (my $room = $path) =~ s{/}{};
            my $answer = ask($method, $path, headers => {Cookie => "ticket-queue-$room=$bad{$what}"});
            problem_is($answer, 'bad_token', "$method, $what");
            cleared($answer, "ticket-queue-$room");
            cleared(ask($method, $path, headers => {'X-Ticket-Queue' => $bad{$what}}));
            $answer = ask($method, $path, headers => {Cookie => "ticket-pass-$room=$bad{$what}"});
            problem_is($answer, 'bad_token', "$method, $what, as a pass");
            cleared($answer, "ticket-pass-$room");
        }
    }
    my $jar = Ticket::Http::Jar->new->set('ticket-queue-open', 'x')->set('ticket-pass-open', 'y');
    cleared(ask('POST', '/open', jar => $jar), 'ticket-queue-open', 'ticket-pass-open');
    is_deeply [$jar->names], [], 'the browser has forgotten them';
    is ask('POST', '/open', jar => $jar)->{status}, 201, 'so that the next POST starts anew';
};

subtest 'epoch and expiry' => sub {
    my ($epoch) = ask('GET', '/one', jar => $first)->{json}{session} =~ /^([0-9]+)-1$/;
    my %over = (
        'queue token of a past epoch' => ['queue', token(kind => 'queue', room => 'one', secret => $secret, epoch => $epoch - 1)],
        'pass of a past epoch'        => ['pass', Ticket::Token::pass(room => 'one', secret => $secret, epoch => $epoch - 1)],
        'pass that has run out'       => ['pass', Ticket::Token::pass(room => 'one', secret => $secret, epoch => $epoch, seconds => -1)],
    );
    for my $what (sort keys %over) {
        my ($kind, $text) = @{$over{$what}};
        my $answer = ask('GET', '/one', headers => {Cookie => "ticket-$kind-one=$text"});
        problem_is($answer, 'past_epoch', "GET with a $what");
        cleared($answer, "ticket-$kind-one");
        problem_is(ask('DELETE', '/one', headers => {"X-Ticket-$kind" => $text}), 'past_epoch', "DELETE with a $what");
    }
    problem_is(ask('POST', '/one', headers => {'X-Ticket-Queue' => $over{'queue token of a past epoch'}[1]}),
        'past_epoch', 'POST with a queue token of a past epoch');
    my $beyond = token(kind => 'queue', room => 'one', secret => $secret, epoch => $epoch, number => 1024 * 32768);
    problem_is(ask('GET', '/one', headers => {'X-Ticket-Queue' => $beyond}), 'bad_token', 'a number that cannot be');
};

subtest 'leaving, being called, claiming' => sub {
    my $pass = $first->get('ticket-pass-one');
    my $answer = ask('DELETE', '/one', jar => $first);
    is $answer->{status}, 204, 'DELETE with a pass';
    is $answer->{body}, '', 'says no more';
    is $answer->{headers}{'cache-control'}, 'no-store', 'not cached';
    cleared($answer, 'ticket-pass-one');
    eventually { ask('GET', '/one', jar => $second)->{json}{state} eq 'called' } 5, 'then the second is called';
    my $called = ask('GET', '/one', jar => $second);
    state_is($called, 200, 'called', 'GET says so');
    cmp_ok $called->{json}{poll_after_ms}, '<=', 1000, 'and wants a POST soon';
    is $called->{headers}{'x-state'}, 'called', '$ticket_state';
    is $called->{headers}{'x-vars'}, 'one/2///', 'variables of one who is called';
    eventually { ask('GET', '/one', jar => $third)->{json}{position} == 1 } 5, 'the third moves up';
    my $eta;
    eventually { $eta = ask('GET', '/one', jar => $third)->{json}{eta} } 5, 'and soon has an estimate';
    ok $eta && $eta->{min} <= $eta->{max}, 'of a shortest and a longest time';

    my $queue = $second->get('ticket-queue-one');
    my $claim = ask('POST', '/one', jar => $second);
    state_is($claim, 200, 'admitted', 'POST claims');
    is $claim->{json}{number}, 2, 'for the same number';
    my $cookies = cookies_of($claim);
    is join(' ', sort keys %$cookies), 'ticket-pass-one ticket-queue-one', 'sets both cookies';
    like $cookies->{'ticket-pass-one'}[0], $token, 'a pass';
    is_deeply $cookies->{'ticket-queue-one'}, ['', 'Path=/; Max-Age=0; HttpOnly; SameSite=Lax'], 'the queue token goes';

    sleep 0.05;
    my $again = ask('POST', '/one', headers => {'X-Ticket-Queue' => $queue});
    state_is($again, 200, 'admitted', 'claiming again');
    is $again->{json}{session}, $claim->{json}{session}, 'is the same session';
    cmp_ok $again->{json}{expires_in_ms}, '<=', $claim->{json}{expires_in_ms} - 50, 'that ends when it did';
    is ask('POST', '/one', jar => $third)->{json}{state}, 'waiting', 'and the third waits';
    my ($epoch) = $claim->{json}{session} =~ /^([0-9]+)-/;
    is $redis->cmd('ZCARD', "ticket:{one}:$epoch:sess"), 1, 'one session in Redis';
    is $redis->cmd('ZCARD', "ticket:{one}:$epoch:calls"), 0, 'no call';

    $answer = ask('POST', '/one', headers => {'X-Ticket-Pass' => $pass});
    is $answer->{status}, 201, 'POST with the pass that was released joins anew';
    is $answer->{json}{state}, 'waiting', 'at the end of the line';
    is $answer->{json}{number}, 4, 'with a new number';
    my ($fourth) = cookies_of($answer)->{'ticket-queue-one'}[0];

    $answer = ask('DELETE', '/one', jar => $third);
    is $answer->{status}, 204, 'DELETE with a queue token';
    cleared($answer, 'ticket-queue-one');
    is ask('DELETE', '/one', headers => {'X-Ticket-Queue' => $queue})->{status}, 204, 'DELETE of a session by its queue token';
    eventually { ask('GET', '/one', headers => {'X-Ticket-Queue' => $fourth})->{json}{state} eq 'called' } 5,
        'who left the line is passed by';
    is ask('DELETE', '/one', headers => {'X-Ticket-Queue' => $queue})->{status}, 204, 'DELETE again';
    $answer = ask('POST', '/one', headers => {Cookie => "ticket-queue-one=$queue"});
    problem_is($answer, 'spent', 'claiming after the session is over');
    cleared($answer, 'ticket-queue-one');
    $answer = ask('POST', '/one', headers => {'X-Ticket-Queue' => $fourth});
    state_is($answer, 200, 'admitted', 'the next is admitted');
    is $redis->cmd('ZCARD', "ticket:{one}:$epoch:sess"), 1, 'one session in Redis';
};

subtest 'a place given up is spent' => sub {
    my ($in) = join_line('/count');
    my ($left) = join_line('/count');
    my ($next) = join_line('/count');
    my $queue = $left->get('ticket-queue-count');
    is ask('DELETE', '/count', jar => $left)->{status}, 204, 'the place is given up';
    is ask('DELETE', '/count', jar => $in)->{status}, 204, 'and the session before it';
    eventually { ask('POST', '/count', jar => $next)->{json}{state} eq 'admitted' } 5, 'the one behind is admitted';
    ask('DELETE', '/count', jar => $next);
    eventually { ask('POST', '/count', headers => {'X-Ticket-Queue' => $queue})->{status} == 410 } 5, 'the token is not';
    problem_is(ask('POST', '/count', headers => {'X-Ticket-Queue' => $queue}), 'spent', 'but spent');
};

subtest 'a session that runs out' => sub {
    my ($jar, $answer) = join_line('/brief');
    is $answer->{json}{state}, 'admitted', 'admitted';
    my ($next) = join_line('/brief');
    is ask('GET', '/brief', jar => $next)->{json}{state}, 'waiting', 'the next waits';
    eventually { ask('POST', '/brief', jar => $next)->{json}{state} eq 'admitted' } 5, 'until it has run out';
    problem_is(ask('GET', '/brief', jar => $jar), 'past_epoch', 'the first is over');
};

subtest 'room instances' => sub {
    my ($a, $answer) = join_line('/show?show=a');
    is $answer->{json}{room}, 'show:a', 'the instance';
    is $answer->{json}{state}, 'admitted', 'has a line of its own';
    is_deeply [$a->names], ['ticket-pass-show~a'], 'and cookies of its own';
    is +(join_line('/show?show=b'))[1]{json}{state}, 'admitted', 'as has another';
    my ($waits) = join_line('/show?show=a');
    is_deeply [$waits->names], ['ticket-queue-show~a'], 'the queue token, too';
    is ask('GET', '/show?show=a', jar => $waits)->{json}{state}, 'waiting', 'is good there';
    problem_is(ask('GET', '/show?show=b', jar => $waits), 'no_token', 'is not sent for the other');
    problem_is(ask('GET', '/show?show=b', headers => {'X-Ticket-Queue' => $waits->get('ticket-queue-show~a')}),
        'bad_token', 'and refused there');
    problem_is(ask('GET', '/show?show=b', headers => {'X-Ticket-Pass' => $a->get('ticket-pass-show~a')}),
        'bad_token', 'as is the pass');
    is ask('POST', '/any?room=show:a', jar => $waits)->{json}{number}, 2, 'the same instance by another location';
    is +(join_line('/any?room=open'))[1]{json}{room}, 'open', 'a room by a variable';
    is +(join_line('/show?show=' . 'x' x 64))[1]{status}, 201, 'a value of 64 characters';
    my @before = sort @{$redis->cmd('KEYS', '*')};
    for my $show ('', 'x' x 65, 'a:b', 'a%20b', 'a/b', '~', '%00', '$a', "\xc3\xa9", 'a{b}', 'a"b', 'a,b', 'a\\b', '*') {
        for my $method (qw(GET POST DELETE)) {
            problem_is(ask($method, "/show?show=$show"), 'no_such_room', "$method, value '" . substr($show, 0, 10) . "'");
        }
    }
    for my $room ('', 'nope', 'Open', 'open:', 'ope', 'openx', ':', ':open', 'open:a:b', '%6fpen') {
        problem_is(ask('POST', "/any?room=$room"), 'no_such_room', "room '$room'");
    }
    problem_is(ask('POST', '/any'), 'no_such_room', 'no room at all');
    is_deeply [sort @{$redis->cmd('KEYS', '*')}], \@before, 'none of them is in Redis';
};

subtest 'wrong methods' => sub {
    for my $method (qw(PUT PATCH OPTIONS PROPFIND NONSENSE)) {
        my $answer = ask($method, '/one', body => $method eq 'PUT' ? 'x' x 1000 : undef);
        problem_is($answer, 'method_not_allowed', $method);
        is $answer->{headers}{allow}, 'GET, HEAD, POST, DELETE', 'Allow';
    }
};

subtest 'cookies over HTTPS' => sub {
    my $jar = Ticket::Http::Jar->new;
    my $answer = ask('POST', '/https', jar => $jar);
    my $cookies = cookies_of($answer);
    is join(' ', keys %$cookies), '__Host-ticket-pass-open', 'the name has the prefix';
    like $cookies->{'__Host-ticket-pass-open'}[1], qr{^Path=/; Max-Age=[0-9]+; HttpOnly; SameSite=Lax; Secure$},
        'and what it demands: Path=/, Secure, no Domain';
    is ask('GET', '/https', jar => $jar)->{json}{state}, 'admitted', 'it is read';
    problem_is(ask('GET', '/https', headers => {Cookie => 'ticket-pass-open=' . $jar->get('__Host-ticket-pass-open')}),
        'no_token', 'a name without the prefix is not');
    my $waits = Ticket::Http::Jar->new;
    ask('POST', '/https-show?show=a', jar => $waits);
    is_deeply [$waits->names], ['__Host-ticket-queue-show~a'], 'the queue token, too';
    is ask('GET', '/https-show?show=a', jar => $waits)->{json}{state}, 'waiting', 'is read';
    like ask('GET', '/https-show?show=a', headers => {Cookie => '__Host-ticket-queue-show~a=x'})->{set_cookie}[0],
        qr{^__Host-ticket-queue-show~a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure$}, 'and cleared';
    is_deeply [map { /^([^=]+)/ } @{ask('POST', '/auto')->{set_cookie}}], ['ticket-pass-open'], 'auto: not over HTTP';
};

subtest 'variables elsewhere' => sub {
    my $headers = ask('GET', '/other')->{headers};
    is $headers->{'x-vars'}, '////', 'are empty';
    ok !exists $headers->{$_}, "$_ as well" for qw(x-state x-pass x-identity x-refresh x-queue-url);
};

sub room_metrics {
    my ($room) = @_;
    my $all = read_metrics(ask('GET', '/metrics')->{body});
    return {map { /^ticket_room_(\w+)\{room="\Q$room\E"\}$/ ? ($1 => $all->{$_}) : () } keys %$all};
}

subtest 'metrics' => sub {
    my $answer = ask('GET', '/metrics');
    is $answer->{status}, 200, 'GET';
    is $answer->{headers}{'content-type'}, 'text/plain; version=0.0.4', 'the type of the format';
    my $all = eval { read_metrics($answer->{body}) };
    ok $all, 'is in the format' or diag $@;
    is $all->{ticket_redis_errors_total}, 0, 'Redis has not failed';
    cmp_ok $all->{ticket_zone_free_bytes}, '>', 0, 'the zone has room';
    ok exists $all->{'ticket_room_polls_total{room="show:a"}'}, 'instances have their own';
    is ask('HEAD', '/metrics')->{body}, '', 'HEAD';
    is ask('POST', '/metrics')->{status}, 405, 'POST is not allowed';

    my $before = room_metrics('count');
    my ($in) = join_line('/count');
    my ($waits) = join_line('/count');
    ask('GET', '/count', jar => $waits) for 1 .. 7;
    ask('GET', '/count', headers => {'X-Ticket-Queue' => 'x'});
    ask('GET', '/gate', jar => $in) for 1 .. 3;
    ask('GET', '/gate', jar => $waits) for 1 .. 2;
    my $pass = $in->get('ticket-pass-count');
    eventually { room_metrics('count')->{in_line} == 1 } 5, 'one is waiting';
    my $now = room_metrics('count');
    cmp_ok $now->{sessions}, '==', 1, 'one has a session';
    cmp_ok $now->{called}, '==', 0, 'nobody is called';
    ask('DELETE', '/count', jar => $in);
    ask('GET', '/gate', headers => {'X-Ticket-Pass' => $pass});
    eventually { room_metrics('count')->{called} == 1 } 5, 'then one is called';
    ask('POST', '/count', jar => $waits);
    my $after = room_metrics('count');
    my %moved = map { $_ => $after->{$_} - $before->{$_} } grep { /_total$/ } keys %$after;
    cmp_ok delete $moved{exchanges_total}, '>', 0, 'exchanges';
    delete $moved{exchange_failures_total};
    delete $moved{sessions_begun_total};
    is_deeply \%moved, {
        polls_total => 7 + 2 + 1, polls_early_total => 0, joins_total => 2, passes_given_total => 2, left_total => 1,
        gate_passed_total => 3, gate_held_back_total => 3, calls_total => 2, calls_missed_total => 0,
    }, 'counters moved as far as they should';
    is $after->{issued_number} - $before->{issued_number}, 2, 'two numbers issued';
    eventually { room_metrics('count')->{called_number} == $after->{issued_number} } 5, 'the last of them called';
    cmp_ok room_metrics('count')->{exchange_age_seconds}, '<', 2, 'the age of the view';
};

subtest 'while Redis is away' => sub {
    my ($in) = join_line('/count');
    my ($waits) = join_line('/show?show=a');
    eventually { ask('GET', '/show?show=a', jar => $waits)->{json}{position} } 5, 'one waits';
    my ($pass) = join_line('/open');
    my $shown = ask('GET', '/show?show=a', jar => $waits)->{json};
    $redis->stop;
    my ($jar, $answer) = join_line('/open');
    problem_is($answer, 'unavailable', 'a new join');
    like $answer->{headers}{'retry-after'}, qr/^[1-9][0-9]*$/, 'Retry-After';
    is_deeply [$jar->names], [], 'no token';
    problem_is(ask('DELETE', '/open', jar => $pass), 'unavailable', 'leaving');
    is_deeply [$pass->names], ['ticket-pass-open'], 'the pass stays';
    state_is(ask('POST', '/open', jar => $pass), 200, 'admitted', 'a pass is checked locally');
    state_is(ask('GET', '/open', jar => $pass), 200, 'admitted', 'by GET, too');
    state_is(ask('GET', '/show?show=a', jar => $waits), 200, 'waiting', 'polls go on');
    is ask('GET', '/show?show=a', jar => $waits)->{json}{position}, $shown->{position}, 'with the same position';
    state_is(ask('POST', '/show?show=a', jar => $waits), 200, 'waiting', 'and those who wait go on waiting');
    eventually { ask('GET', '/show?show=a', jar => $waits)->{json}{updated_ms} > 300 } 5, 'updated_ms tells';
    cmp_ok read_metrics(ask('GET', '/metrics')->{body})->{ticket_redis_errors_total}, '>', 0, 'so do the metrics';
};

done_testing;
