# The harness itself: that its servers and its client do what tests rely on,
# and that what must fail a test does fail it.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many http_raw);
use Ticket::Nginx;
use Ticket::Redis;
use IO::Socket::UNIX;

my $redis = Ticket::Redis->new(dir => temp_dir(), aof => 1);
my $nginx = Ticket::Nginx->new(name => 'a', module => 'none', redis => $redis, http => <<'END');
    server {
        listen unix:%%SOCK%%;
        keepalive_requests 50;
        location / { return 200 "path=$uri cookie=$http_cookie"; }
        location = /json { default_type application/json; return 200 '{"n":[1,null]}'; }
        location = /problem { default_type application/problem+json; return 403 '{"code":"x"}'; }
        location = /set { add_header Set-Cookie "a=1; Path=/"; add_header Set-Cookie "b=2"; return 204; }
        location = /clear { add_header Set-Cookie "a=; Max-Age=0"; return 204; }
        location = /chunked { ssi on; ssi_types text/plain; default_type text/plain; alias %%DIR%%/page.txt; }
        location = /slow { limit_rate 10; return 200 "0123456789012345678901234567890123456789"; }
        location = /crit { proxy_pass http://unix:%%DIR%%/nobody.sock:/; }
        location = /keys { return 200 "%%KEYS%% %%REDIS%%"; }
    }
END

subtest 'http client' => sub {
    my $target = $nginx->target;
    my $answer = http($target, 'GET', '/abc');
    is $answer->{status}, 200, 'status';
    is $answer->{body}, 'path=/abc cookie=', 'body';
    like $answer->{headers}{server}, qr/^nginx/, 'headers by lowercased name';
    is_deeply http($target, 'GET', '/json')->{json}, {n => [1, undef]}, 'json';
    is http($target, 'POST', '/problem', {}, {some => 'body'})->{json}{code}, 'x', 'problem+json';
    is http($target, 'HEAD', '/abc')->{body}, '', 'HEAD';

    my $jar = Ticket::Http::Jar->new;
    my $client = Ticket::Http->new($target);
    my $set = $client->request({method => 'GET', path => '/set', jar => $jar});
    is_deeply $set->{set_cookie}, ['a=1; Path=/', 'b=2'], 'every Set-Cookie';
    is $jar->attributes('a')->{path}, '/', 'cookie attributes';
    my %again = (method => 'GET', jar => $jar);
    is $client->request({%again, path => '/c'})->{body}, 'path=/c cookie=a=1; b=2', 'cookies sent';
    $client->request({%again, path => '/clear'});
    is $client->request({%again, path => '/c'})->{body}, 'path=/c cookie=b=2', 'cookie removed by Max-Age=0';

    open my $page, '>', temp_dir() . '/page.txt' or die $!;
    print {$page} 'x' x 70_000, '<!--# echo var="uri" -->', 'y' x 10;
    close $page;
    my $chunked = $client->request('GET', '/chunked');
    is $chunked->{headers}{'transfer-encoding'}, 'chunked', 'a chunked answer';
    is $chunked->{body}, 'x' x 70_000 . '/chunked' . 'y' x 10, 'is put together';

    is $client->request('GET', '/x')->{status}, 200, "request $_" for 1 .. 3;
    my $refused = http('unix:' . temp_dir() . '/nobody.sock', 'GET', '/');
    is $refused->{status}, 0, 'no server: status 0';
    like $refused->{error}, qr/connect/, 'and an error';
    my $late = Ticket::Http->new($target, timeout => 1)->request('GET', '/slow');
    like $late->{error}, qr/no answer in 1 s/, 'a slow answer is given up';
    like http_raw($target, "GARBAGE\r\n\r\n"), qr/^HTTP\/1.1 400 /, 'raw bytes';
};

subtest 'responses that are wrong are seen as such' => sub {
    my %wrong = (
        "HTTP/1.1 20 OK\r\n\r\n"                                        => 'bad status line',
        "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"                             => 'bad header line',
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc"               => 'bytes after',
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"   => 'bad chunk',
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n" => 'bad chunk',
    );
    for my $bytes (sort keys %wrong) {
        eval { Ticket::Http::Response->new('GET')->add($bytes) };
        like $@, qr/^$wrong{$bytes}/, $wrong{$bytes};
    }
    my $cut = Ticket::Http::Response->new('GET');
    $cut->add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
    eval { $cut->eof };
    like $@, qr/closed within/, 'a body cut short';
};

# A server of one script: for each connection a list of answers (undef: none,
# though there was a request); then it is closed, or, after an answer that
# says so itself, left open in silence.
sub scripted_server {
    my (@connections) = @_;
    my $path = temp_dir() . '/scripted.sock';
    unlink $path;
    my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die "$path: $!\n";
    my $pid = fork() // die "fork: $!\n";
    return ("unix:$path", $pid) if $pid;
    my @open;
    for my $answers (@connections) {
        push @open, my $peer = $listener->accept;
        for my $answer (@$answers) {
            sysread $peer, my $request, 65536;
            syswrite $peer, $answer if defined $answer;
        }
        close $peer if ($answers->[-1] // '') !~ /^Connection: close/m;
    }
    sleep 60;
    POSIX::_exit(0);
}

subtest 'kept connections' => sub {
    my $ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    # The second request on the first connection gets no answer.
    for my $case (['GET', 200, 1], ['POST', 0, 0]) {
        my ($method, $status, $retries) = @$case;
        my ($target, $pid) = scripted_server([$ok, undef], [$ok]);
        my $client = Ticket::Http->new($target, timeout => 5);
        $client->request($method, '/');
        my $second = $client->request($method, '/');
        is $second->{status}, $status, "$method on a connection closed meanwhile";
        is $second->{retries}, $retries, $retries ? 'is sent again' : 'is not sent again';
        kill KILL => $pid;
        waitpid $pid, 0;
    }
    my ($target, $pid) = scripted_server(["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"], [$ok]);
    my $client = Ticket::Http->new($target, timeout => 2);
    $client->request('GET', '/');
    is $client->request('POST', '/')->{status}, 200, 'Connection: close is heeded';
    kill KILL => $pid;
    waitpid $pid, 0;
};

subtest 'many requests' => sub {
    my @requests = map { ['GET', "/n$_"] } 1 .. 10_000;
    my $start = Time::HiRes::time();
    my $answers = $nginx->http_many(\@requests, concurrency => 1000);
    my $seconds = Time::HiRes::time() - $start;
    is scalar(@$answers), 10_000, '10,000 answers';
    is scalar(grep { $_->{status} != 200 } @$answers), 0, 'all 200';
    is scalar(grep { $answers->[$_]{body} ne "path=/n" . ($_ + 1) . ' cookie=' } 0 .. 9999), 0, 'in the order of the requests';
    cmp_ok $seconds, '<', 20, sprintf 'in %.1f s', $seconds;
};

subtest 'redis' => sub {
    is $redis->cmd('SET', 'a', "x\r\ny"), 'OK', 'status';
    is $redis->cmd('GET', 'a'), "x\r\ny", 'binary-safe value';
    is $redis->cmd('GET', 'none'), undef, 'nil';
    is_deeply $redis->cmd('EVAL', 'return {1, {"b", false}, {}}', 0), [1, ['b', undef], []], 'nested arrays';
    eval { $redis->cmd('GET') };
    like $@, qr/wrong number of arguments/, 'an error dies';
    is $redis->cmd('PING'), 'PONG', 'and the connection goes on';
    is ref $redis->pipeline(['PING'], ['NONE'])->[1], 'Ticket::Redis::Error', 'an error within a pipeline';
    $redis->cmd('CONFIG', 'RESETSTAT');
    $redis->cmd('GET', 'a') for 1 .. 3;
    is $redis->commandstats->{get}, 3, 'commandstats';
    $redis->kill9;
    $redis->restart;
    is $redis->cmd('GET', 'a'), "x\r\ny", 'restart keeps the append-only file';
    $redis->restart(empty => 1);
    is $redis->cmd('GET', 'a'), undef, 'restart(empty => 1) does not';
};

subtest 'nginx' => sub {
    my ($keys, $socket) = split ' ', $nginx->http('GET', '/keys')->{body};
    is $socket, $redis->socket, 'the path of the Redis socket';
    like slurp($keys), qr/^1 [0-9a-f]{64}\n$/, 'a key file';
    is sprintf('%o', (stat $keys)[2] & 07777), '600', 'that others cannot read';
    is scalar(my @workers = $nginx->worker_pids), 2, 'two workers';
    my %old = map { $_ => 1 } @workers;
    is scalar(my @left = $nginx->reload), 0, 'reload: the old workers are gone';
    is scalar(grep { !$old{$_} } $nginx->worker_pids), 2, 'two new ones serve';
    my $killed = $nginx->kill_worker9;
    is scalar(grep { $_ != $killed } $nginx->worker_pids), 2, 'a killed worker is replaced';
    is $nginx->http('GET', '/')->{status}, 200, 'and it serves';

    my ($status, $err) = $nginx->test_conf('server { listen unix:%%SOCK%%; }');
    is $status, 0, 'nginx -t accepts a good configuration';
    ($status, $err) = $nginx->test_conf('nonsense;');
    is $status, 1, 'and refuses a bad one';
    like $err, qr/unknown directive "nonsense"/, 'with the reason';
    my $static = Ticket::Nginx->new(name => 'static', module => 'static', start => 0);
    unlike slurp("$static->{dir}/static.conf"), qr/load_module/, 'nothing is loaded when the module is built in';
    my $good = $nginx->{http};
    $nginx->configure(http => 'nonsense;');
    eval { $nginx->reload };
    like $@, qr/reload refused: .*nonsense/, 'a refused reload dies';
    $nginx->expect_log(qr/unknown directive "nonsense"/);
    $nginx->configure(http => $good);
};

subtest 'eventually' => sub {
    my $calls = 0;
    eventually { ++$calls == 3 } 5, 'a condition that becomes true';
    ok !within(sub { 0 }, 0.1), 'one that never does';
};

# What must fail a test: each is a small test file of its own.
sub outcome_of {
    my ($body) = @_;
    my $file = temp_dir() . '/inner.t';
    open my $fh, '>', $file or die $!;
    print {$fh} <<"END";
use lib '$FindBin::Bin/lib';
use Ticket::Test;
use Ticket::Nginx;
use Ticket::Redis;
sub nginx {
    return Ticket::Nginx->new(module => 'none', \@_, http => 'server { listen unix:%%SOCK%%;
        location / { return 200 ok; } location /crit { proxy_pass http://unix:%%DIR%%/nobody:/; } }');
}
sub report {
    my (\$service) = \@_;
    print "# pid ", \$service->pid, "\\n# dir ", temp_dir(), "\\n";
}
$body
END
    close $fh;
    my ($status, $out, $err) = run($^X, $file);
    return {status => $status, text => "$out$err", pids => [$out =~ /^# pid (\d+)/mg], dirs => [$out =~ /^# dir (\S+)/mg]};
}

sub nothing_left {
    my ($outcome) = @_;
    ok @{$outcome->{pids}} && !grep({ kill 0, $_ } @{$outcome->{pids}}), 'its servers are stopped';
    ok @{$outcome->{dirs}} && !grep({ -e } @{$outcome->{dirs}}), 'its directory is removed';
    return;
}

subtest 'a good test passes' => sub {
    my $good = outcome_of('my $n = nginx(); report($n); ok 1; done_testing;');
    is $good->{status}, 0, 'exit status' or diag $good->{text};
    nothing_left($good);
};

subtest 'an alert in error.log fails the test' => sub {
    my $bad = outcome_of('my $n = nginx(); report($n); $n->http("GET", "/crit"); ok 1; done_testing;');
    isnt $bad->{status}, 0, 'exit status';
    like $bad->{text}, qr/^not ok .*servers have nothing to report/m, 'a failed point';
    like $bad->{text}, qr/nginx: .*\[crit\].*connect\(\)/, 'that shows the line';
    nothing_left($bad);
    my $expected = outcome_of(
        'my $n = nginx(); $n->http("GET", "/crit"); $n->expect_log(qr/nobody/); ok 1; done_testing;');
    is $expected->{status}, 0, 'unless expected' or diag $expected->{text};
    my $killed = outcome_of(
        'my $n = nginx(); kill KILL => ($n->worker_pids)[0]; sleep 1; ok 1; done_testing;');
    like $killed->{text}, qr/exited on signal 9/, 'a worker that dies is found';
    isnt $killed->{status}, 0, 'and fails the test';
};

subtest 'a sanitizer report fails the test' => sub {
    for my $line ('==1==ERROR: AddressSanitizer: heap-buffer-overflow', 'x.c:1:2: runtime error: shift',
        '==1==ERROR: LeakSanitizer: detected memory leaks')
    {
        my $bad = outcome_of("my \$n = nginx(); report(\$n); open my \$log, '>>', \$n->{log}; "
            . "print {\$log} '$line', qq(\\n); close \$log; ok 1; done_testing;");
        isnt $bad->{status}, 0, $line;
    }
};

subtest 'a server that ends by itself fails the test' => sub {
    my $bad = outcome_of('my $r = Ticket::Redis->new(dir => temp_dir()); report($r);
        kill KILL => $r->pid; within(sub { !$r->alive }, 5); ok 1; done_testing;');
    isnt $bad->{status}, 0, 'exit status';
    like $bad->{text}, qr/redis: ended by itself/, 'and is named';
    for my $case (['exit 0', 0], ['exit 3', 1]) {
        my ($end, $status) = @$case;
        my $stopped = outcome_of(qq{Ticket::Service->launch(name => 's', log => temp_dir() . '/s',
            command => [\$^X, '-e', '\$| = 1; \$SIG{TERM} = sub { $end }; print 1; sleep 60'])
            ->await(sub { slurp(temp_dir() . '/s') }, 5, 'output'); ok 1; done_testing;});
        is $stopped->{status}, $status, "a server that stops with $end" or diag $stopped->{text};
    }
    my $plain = outcome_of('Ticket::Service->launch(name => "s", log => temp_dir() . "/s", command => ["sleep", 60]);
        ok 1; done_testing;');
    is $plain->{status}, 0, 'one that leaves the signal to the kernel has stopped well' or diag $plain->{text};
    my $asked = outcome_of('my $r = Ticket::Redis->new(dir => temp_dir()); $r->kill9; ok 1; done_testing;');
    is $asked->{status}, 0, 'unless the test killed it' or diag $asked->{text};
};

subtest 'servers are stopped whatever happens to the test' => sub {
    my $dead = outcome_of('my $n = nginx(); my $r = Ticket::Redis->new(dir => temp_dir());
        report($n); report($r); die "oops";');
    isnt $dead->{status}, 0, 'a test that dies fails';
    nothing_left($dead);
    my $interrupted = outcome_of('my $n = nginx(); report($n); kill INT => $$; sleep 5; ok 1; done_testing;');
    isnt $interrupted->{status}, 0, 'an interrupted test fails';
    nothing_left($interrupted);
    my $unfinished = outcome_of('my $n = nginx(); report($n); ok 1;');
    isnt $unfinished->{status}, 0, 'a test without done_testing fails';
    nothing_left($unfinished);
    my $killed = outcome_of('$| = 1; my $r = Ticket::Redis->new(dir => temp_dir()); report($r); kill KILL => $$;');
    is $killed->{status}, -10, 'a test killed with -9';
    eventually { !kill 0, $killed->{pids}[0] } 5, 'leaves no server either';
    File::Path::remove_tree(@{$killed->{dirs}});
};

subtest 'no start' => sub {
    my $bad = outcome_of('Ticket::Nginx->new(module => "none", http => "nonsense;"); ok 1; done_testing;');
    isnt $bad->{status}, 0, 'a configuration nginx refuses fails the test';
    like $bad->{text}, qr/unknown directive "nonsense"/, 'and its words are shown';
    my $missing = outcome_of('Ticket::Nginx->new(module => "/nonexistent.so", http => ""); ok 1; done_testing;');
    like $missing->{text}, qr/nonexistent\.so/, 'as is a missing module';
};

done_testing;
