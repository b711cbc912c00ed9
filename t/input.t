# L9: no input, however malformed, crashes a process or leaks memory, or
# changes anything: each is answered by a 4xx, a problem where the module
# answers, and numbers, sessions, keys in Redis and the workers stay as they
# are.

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use Ticket::Test;
use Ticket::Http qw(http_raw);
use Ticket::Http::Jar;
use Ticket::Http::Response;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Token qw(token);
use Time::HiRes qw(sleep);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $nginx = Ticket::Nginx->new(redis => $redis, http => <<'END' =~ s/%%ROOT%%/root_dir()/er);
    ticket_redis unix:%%REDIS%% timeout=2s;
    ticket_zone  rooms:4m interval=50ms;
    ticket_keys  %%KEYS%%;
    ticket_room  full { slots 1; session 1h; claim 1h; liveness 1h; early_polls allow; }
    ticket_room  show { slots 1; session 1h; claim 1h; liveness 1h; early_polls allow; }
    keepalive_requests 100000;
    lingering_timeout  1s;
    server {
        listen unix:%%SOCK%%;
        include %%ROOT%%/conf/problems.conf;
        location = /queue   { ticket_queue full; }
        location = /show    { ticket_queue show:$arg_show; }
        location = /any     { ticket_queue $arg_room; }
        location = /cookie  { ticket_queue show:$cookie_show; }
        location = /gate    { ticket_gate full queue=/queue?show=$arg_show; empty_gif; }
        location = /page    { ticket_gate full queue=/queue?show=$arg_show status=429; empty_gif; }
        location = /metrics { ticket_metrics; }
    }
END

my ($secret) = slurp($nginx->keys_file) =~ /^1 ([0-9a-f]+)$/m;
srand 20261201;

sub ask {
    my ($method, $path, %more) = @_;
    return $nginx->http({method => $method, path => $path, %more});
}

# One who has the slot, and one who waits.
my ($in, $waits) = map { Ticket::Http::Jar->new } 1, 2;
my $session = ask('POST', '/queue', jar => $in)->{json}{session};
ask('POST', '/queue', jar => $waits);
within(sub { ask('GET', '/metrics')->{body} =~ /^ticket_room_in_line\{room="full"\} 1$/m }, 5) or die "nobody waits\n";
my ($pass, $queue) = ($in->get('ticket-pass-full'), $waits->get('ticket-queue-full'));
my ($epoch) = $session =~ /^([0-9]+)-1$/;

# All that bad input must not change: what Redis holds but for its clocks,
# what the nodes show, and who serves.
sub everything {
    my %all = (pids => join ' ', $nginx->worker_pids);
    for my $key (sort @{$redis->cmd('KEYS', '*')}) {
        my $type = $redis->cmd('TYPE', $key);
        $all{$key} = $type eq 'string' ? unpack('H*', $redis->cmd('GET', $key))
            : $type eq 'zset' ? join(' ', @{$redis->cmd('ZRANGE', $key, 0, -1, 'WITHSCORES')})
            : $key =~ /\}$/ ? join(' ', @{$redis->cmd('HMGET', $key, qw(epoch issued called total seq life ghosts win))})
            : $type;
    }
    $all{$_} = join ' ', @{ask('GET', '/queue', jar => $waits)->{json}}{qw(state number position waiting)} for 'line';
    my $metrics = ask('GET', '/metrics')->{body};
    $all{metrics} = join ' ', $metrics =~ /^(ticket_room_(?:joins|joins_refused|passes_given|left|gate_passed)_total.*|ticket_room_(?:in_line|sessions|called|issued_number|called_number)\{.*)$/mg;
    return \%all;
}

my $before;

sub nothing_changed {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply everything(), $before, "$name: nothing has changed";
}

# A 4xx problem of the module, well formed.
sub is_problem {
    my ($answer) = @_;
    my $json = $answer->{json} // {};
    return $answer->{status} =~ /^4/ && $answer->{headers}{'content-type'} eq 'application/problem+json'
        && ($json->{status} // 0) == $answer->{status} && ($json->{code} // '') =~ /^[a-z_]+$/;
}

# Sends requests and wants a problem for each of them.
sub all_refused {
    my ($name, $requests, $accept) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $answers = $nginx->http_many($requests, concurrency => 50);
    my @wrong = grep { !($accept // \&is_problem)->($answers->[$_]) } 0 .. $#$answers;
    ok @$requests && !@wrong, "$name: " . @$requests . ' requests refused'
        or diag explain [@wrong + 0, map { [$requests->[$_], @{$answers->[$_]}{qw(status error headers body)}] } @wrong[0 .. (@wrong > 2 ? 2 : $#wrong)]];
    return;
}

sub random_bytes {
    my ($length, @without) = @_;
    my $bytes = join '', map { chr int rand 256 } 1 .. $length;
    $bytes =~ s/[\r\n\0;]/x/g;
    return $bytes;
}

my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');

sub altered {
    my ($text) = @_;
    for (1 .. 1 + int rand 3) {
        my $at = int rand 64;
        my $new = $alphabet[rand 64];
        $new = $new eq 'A' ? 'B' : 'A' if $new eq substr $text, $at, 1;
        substr $text, $at, 1, $new;
    }
    return $text eq $pass || $text eq $queue ? altered($text) : $text;
}

# Each makes one token that is none, for the given kind.
my %made = (room => 'full', secret => $secret, epoch => $epoch);
my @forgers = (
    sub { random_bytes(int rand 200) },
    sub { random_bytes(64) },
    sub { join '', map { $alphabet[rand 64] } 1 .. 64 },
    sub { 'AQ' . ($_[0] eq 'pass' ? 'I' : 'E') . join '', map { $alphabet[rand 64] } 1 .. 61 },
    sub { altered($_[0] eq 'pass' ? $pass : $queue) },
    sub { $_[0] eq 'pass' ? $queue : $pass },
    sub { substr $_[0] eq 'pass' ? $pass : $queue, 0, int rand 64 },
    sub { ($_[0] eq 'pass' ? $pass : $queue) . random_bytes(1 + int rand 100) . 'x' },
    sub { token(%made, kind => $_[0], number => 1024 * 32768 + int rand 2**50, time_ms => 2**50) },
    sub { token(%made, kind => $_[0], epoch => $epoch - 1 - int rand 1000, $_[0] eq 'pass' ? (number => 2**40) : ()) },
    sub { token(%made, kind => $_[0], room => 'show', time_ms => 2**50) },
    sub { token(%made, kind => $_[0], key_id => 2 + int rand 60000, time_ms => 2**50) },
    sub { token(%made, kind => $_[0], version => int(rand 254) + 2, time_ms => 2**50) },
);

sub forged_request {
    my $kind = rand() < 0.5 ? 'pass' : 'queue';
    my $text = $forgers[rand @forgers]->($kind);
    my $header = rand() < 0.5;
    my $path = rand() < 0.2 ? '/gate' : '/queue';
    $header = 0 if $text =~ /^[ \t]|[ \t]$/;
    return {
        method => (qw(GET POST DELETE HEAD))[rand 3], path => $path,
        headers => $header ? ["X-Ticket-\u$kind" => $text] : [Cookie => "a=b; ticket-$kind-full=$text"],
    };
}

$before = everything();

subtest '10,000 tokens that are none' => sub {
    all_refused('tokens', [map { forged_request() } 1 .. 10_000]);
    nothing_changed('afterwards');
    is ask('GET', '/queue', jar => $waits)->{json}{number}, 2, 'a good queue token is still good';
    is ask('POST', '/queue', jar => $in)->{json}{session}, $session, 'and a good pass';
};

# What nginx itself refuses is a problem document by conf/problems.conf.  Where
# a page may be the answer, or no body at all, its status says enough.
sub is_refused { return $_[0]{status} =~ /^4/ }

subtest 'sizes' => sub {
    my @requests;
    for my $name ('X-Ticket-Queue', 'X-Ticket-Pass', 'Cookie', 'X-Other', 'Accept', 'N' x 9000) {
        push @requests, map { {method => 'POST', path => '/queue', headers => [$name => $_]} }
            'x' x 8200, "ticket-queue-full=$queue; " . 'y' x 9000, 'z' x 100_000;
    }
    push @requests, {method => 'POST', path => '/queue', headers => [map { ("X-$_" => 'x' x 7000) } 1 .. 6]};
    push @requests, {method => 'POST', path => '/show?show=' . 'x' x 9000};
    all_refused('too large', \@requests);
    all_refused('large tokens', [map { {method => 'POST', path => '/queue', headers => $_} }
        map { ['X-Ticket-Queue' => $_], ['X-Ticket-Pass' => $_], [Cookie => "ticket-pass-full=$_"] }
        'x' x 7000, $queue x 50, "$pass,$pass", "\"$queue\"", "$queue=", '%41' x 64]);
    all_refused('long names', [map { {method => 'POST', path => "/show?show=$_"} } 'x' x 65, 'x' x 7000]);
    nothing_changed('sizes');
    my $many = join '; ', (map { "cookie$_=" . 'v' x 5 } 1 .. 400), "ticket-queue-full=$queue";
    is ask('GET', '/queue', headers => [Cookie => $many])->{json}{number}, 2, 'the token after 400 other cookies';
    is ask('GET', '/queue', headers => [(map { ("X-A$_" => 'b') } 1 .. 400), 'X-Ticket-Queue' => $queue])->{json}{number}, 2,
        'the token after 400 other headers';
};

subtest 'cookies' => sub {
    my @bad = ("ticket-queue-full=", "ticket-queue-full=;", "ticket-pass-full=", "ticket-queue-full==$queue",
        "ticket-queue-full= $queue", "ticket-queue-full=$queue x", "ticket-queue-full=x; ticket-queue-full=$queue",
        "ticket-queue-full=\"$queue\"", "ticket-queue-full=$queue\t", "ticket-queue-full=$queue,a=b",
        join('; ', ("ticket-queue-full=x") x 100), join('; ', ("ticket-queue-full=x", "ticket-pass-full=y") x 50));
    all_refused('bad values', [map { {method => 'POST', path => '/queue', headers => [Cookie => $_]} } @bad]);
    my @none = ('', ';', ';;;', '=', '=;=', 'ticket-queue-full', "ticket-queue-full; x=$queue", "xticket-queue-full=$queue",
        "ticket-queue-full =$queue", "a=ticket-queue-full=$queue", "$queue", ' ' x 1000, '; ' x 1000);
    my $no_token = sub { is_problem($_[0]) && $_[0]{json}{code} eq 'no_token' };
    all_refused('no token', [map { {method => 'GET', path => '/queue', headers => [Cookie => $_]} } @none], $no_token);
    is ask('GET', '/queue', headers => [Cookie => "ticket-queue-full=$queue; ticket-queue-full=x"])->{json}{number}, 2,
        'the first of two';
    all_refused('two headers', [{method => 'POST', path => '/queue', headers => ['X-Ticket-Queue' => $queue, 'X-Ticket-Queue' => 'x']}]);
    nothing_changed('cookies');
};

subtest 'methods' => sub {
    my $not_allowed = sub { is_problem($_[0]) && $_[0]{status} == 405 && $_[0]{headers}{allow} };
    all_refused('others', [map { {method => $_, path => '/queue', headers => ['X-Ticket-Queue' => $queue], body => 'x' x 10} }
        qw(PUT PATCH OPTIONS MKCOL COPY MOVE PROPFIND PROPPATCH LOCK UNLOCK FOO A), 'X' x 500], $not_allowed);
    all_refused('not for nginx', [map { {method => $_, path => '/queue'} } qw(get Post TRACE CONNECT), 'P@ST', 'X' x 9000],
        \&is_refused);
    nothing_changed('methods');
};

subtest 'injection' => sub {
    my @values = ('a%0d%0aSet-Cookie:%20evil=1', '%0aX-Evil:1', "a\tb", 'a;evil=1', 'a"evil', "a'b", '<script>', "\x80\xff", 'a%00b',
        '../../x', '{evil}', '$evil', '*', "a\x01\x02", 'a\\"', 'a&show=b%0d', 'a:b:c', 'show:', ' ');
    my @clean = map { my $value = $_; $value =~ s/[ \t]/+/g; $value } @values;
    my $harmless = sub {
        my ($answer) = @_;
        return is_problem($answer) && !@{$answer->{set_cookie}} && !grep { /evil/i } keys %{$answer->{headers}};
    };
    all_refused('room values', [map { my $v = $_; map { {method => $_, path => "/show?show=$v"} } qw(GET POST DELETE) } grep { !/&/ } @clean], $harmless);
    all_refused('rooms', [map { {method => 'POST', path => "/any?room=$_"} } @clean], $harmless);
    all_refused('cookies', [map { {method => 'POST', path => '/cookie', headers => [Cookie => "show=$_"]} } grep { !/^a[;&]/ } @values], $harmless);
    for my $value (grep { !/[\x80-\xff]/ } @clean) {
        my $answer = ask('GET', "/gate?show=$value");
        my $queue_url = $answer->{json}{queue} // '';
        (my $plain = $value) =~ s/&.*//;
        is $queue_url, "/queue?show=$plain", "the queue's address in a problem: $plain" if $answer->{status} == 403;
        ok is_problem($answer) && !grep({ /evil/i } keys %{$answer->{headers}}), 'is escaped';
    }
    all_refused('Accept', [map { {method => 'HEAD', path => '/page', headers => [Accept => $_]} }
        map { ($_, "text/html;$_", "text/html;q=$_", "$_,text/html") } 'x' x 5000, ',' x 5000, ';' x 5000, ';q=' x 1000,
        '=' x 100, '1.' . '0' x 1000, "\x80\xff", 'q', 'q=', '99999999999999999999', '-1', '"', "\t"], \&is_refused);
    nothing_changed('injection');
};

# The answer to these bytes, as far as it is one.
sub raw {
    my ($bytes) = @_;
    my $answer = http_raw($nginx->target, $bytes, timeout => 10);
    my $response = eval {
        my $parser = Ticket::Http::Response->new('GET');
        $parser->add($answer) // $parser->eof;
    };
    return $response // {status => 0, error => $@, headers => {}, body => $answer};
}

subtest 'protocol' => sub {
    my $close = "Connection: close\r\n";
    my $bad = "X-Ticket-Queue: x\r\n";
    my %problem = (
        'HTTP/1.0 without Host'         => "GET /queue HTTP/1.0\r\n\r\n",
        'HTTP/1.0 with a bad token'     => "POST /queue HTTP/1.0\r\n$bad\r\n",
        'bare LF at line ends'          => "GET /queue HTTP/1.1\nHost: x\nConnection: close\n\n",
        'a chunked body'                => "POST /queue HTTP/1.1\r\nHost: x\r\n$close${bad}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        'a chunked body with trailers'  => "POST /queue HTTP/1.1\r\nHost: x\r\n$close${bad}Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\nX-Ticket-Queue: $queue\r\n\r\n",
        'a header with an underscore'   => "GET /queue HTTP/1.1\r\nHost: x\r\n${close}X_Ticket_Queue: $queue\r\n\r\n",
        'a token in the query'          => "GET /queue?X-Ticket-Queue=$queue&ticket-queue-full=$queue HTTP/1.1\r\nHost: x\r\n$close\r\n",
        'a bad token with much to read' => "POST /queue HTTP/1.1\r\nHost: x\r\n$close${bad}Content-Length: 500000\r\n\r\n" . 'x' x 500_000,
    );
    for my $what (sort keys %problem) {
        my $answer = raw($problem{$what});
        ok is_problem($answer), "$what: a problem" or diag explain $answer;
    }
    my %refused = (
        'HTTP/1.1 without Host'        => "POST /queue HTTP/1.1\r\n\r\n",
        'a CR in a cookie'              => "GET /queue HTTP/1.1\r\nHost: x\r\n${close}Cookie: ticket-queue-full=$queue\rx\r\n\r\n",
        'a header without a name'       => "GET /queue HTTP/1.1\r\nHost: x\r\n$close: $queue\r\n\r\n",
        'a header with a space'         => "GET /queue HTTP/1.1\r\nHost: x\r\n${close}X-Ticket-Queue : $queue\r\n\r\n",
        'a folded header'               => "GET /queue HTTP/1.1\r\nHost: x\r\n${close}X-Ticket-Queue: x\r\n $queue\r\n\r\n",
        'two Hosts'                    => "POST /queue HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        'HTTP/2 preface'               => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        'a NUL in the URI'             => "POST /queue\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        'a NUL in a header'            => "POST /queue HTTP/1.1\r\nHost: x\r\nX-Ticket-Queue: $queue\0\r\n\r\n",
        'garbage'                      => "\x16\x03\x01\x02\x00\x01\x00" . 'x' x 300 . "\r\n\r\n",
        'a bad chunk'                  => "POST /queue HTTP/1.1\r\nHost: x\r\n${bad}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        'a bad chunk without a token'  => "POST /queue HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        'an endless chunk'             => "POST /queue HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n",
        'both lengths'                 => "POST /queue HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        map { ("Content-Length: $_" => "POST /queue HTTP/1.1\r\nHost: x\r\nContent-Length: $_\r\n\r\nhello") }
            '99999999999999999999', '9223372036854775807', '1000000000000', '-1', '5x', '0x5', '5, 5', "5\r\nContent-Length: 6",
    );
    for my $what (sort keys %refused) {
        my $answer = raw($refused{$what});
        ok is_problem($answer), $what =~ s/\s+/ /gr . ': refused' or diag explain $answer;
    }
    my %by_nginx = (
        505                => "POST /queue HTTP/3.0\r\nHost: x\r\n\r\n",
        501                => "POST /queue HTTP/1.1\r\nHost: x\r\n${close}Transfer-Encoding: gzip\r\n\r\n",
    );
    is raw($by_nginx{$_})->{status}, $_, "$_ by nginx" for sort keys %by_nginx;
    like raw("POST /queue\r\n\r\n")->{body}, qr/"status":400,/, 'no version';
    for my $cut (0 .. 8) {
        my $request = "DELETE /queue HTTP/1.1\r\nHost: x\r\nX-Ticket-Queue: $queue\r\n\r\n";
        my $fh = IO::Socket::UNIX->new(Peer => $nginx->socket) or die "connect: $!\n";
        syswrite $fh, substr $request, 0, $cut * (length($request) - 1) / 8;
        close $fh;
    }
    nothing_changed('protocol');
};

subtest 'a body that comes in pieces while Redis is slow' => sub {
    my @fh = map { IO::Socket::UNIX->new(Peer => $nginx->socket) // die "connect: $!\n" } 1 .. 8;
    kill 'STOP', $redis->pid;
    for my $fh (@fh) {
        syswrite $fh, "POST /queue HTTP/1.1\r\nHost: x\r\nX-Ticket-Pass: $pass\r\nContent-Length: 30000\r\n\r\n" . 'x' x 10_000;
    }
    sleep 0.1;
    syswrite $_, 'x' x 20_000 for @fh;
    sleep 0.1;
    kill 'CONT', $redis->pid;
    syswrite $_, "GET /queue HTTP/1.1\r\nHost: x\r\nX-Ticket-Pass: $pass\r\nConnection: close\r\n\r\n" for @fh;
    my @answers = map { my $fh = $_; local $/ = undef; scalar <$fh> } @fh;
    is scalar(grep { 2 == (() = /HTTP\/1.1 200 OK/g) && 2 == (() = /"session":"\Q$session\E"/g) } @answers), 8,
        'both requests of each connection are answered' or diag explain \@answers;
    nothing_changed('pieces');
};

# Resident memory of all workers, in kilobytes.
sub memory {
    my $sum = 0;
    for my $pid ($nginx->worker_pids) {
        $sum += $1 if slurp("/proc/$pid/status") =~ /^VmRSS:\s+([0-9]+) kB$/m;
    }
    return $sum;
}

subtest 'memory' => sub {
    my @more = map {
        (map { forged_request() } 1 .. 1700), (map { {method => 'PUT', path => '/queue', body => 'x' x 2000} } 1 .. 100),
            (map { {method => 'POST', path => '/show?show=' . random_bytes(5) =~ s/[^a-z]/%/gr . '%'} } 1 .. 100),
            (map { {method => 'HEAD', path => '/page', headers => [Accept => 'text/html;q=' . rand]} } 1 .. 100);
    } 1 .. 10;
    my $start = memory();
    all_refused('further', \@more, \&is_refused);
    my $end = memory();
    SKIP: {
        skip 'a sanitizer keeps freed memory for a while', 1 if $ENV{TICKET_SANITIZE};
        cmp_ok $end - $start, '<', 1024, "from $start to $end kB over " . @more . ' requests';
    }
    nothing_changed('memory');
};

subtest 'afterwards' => sub {
    is ask('GET', '/gate', jar => $in)->{status}, 200, 'the pass is good';
    is ask('DELETE', '/queue', jar => $in)->{status}, 204, 'it can be released';
    eventually { ask('POST', '/queue', jar => $waits)->{json}{state} eq 'admitted' } 5, 'who waited is admitted';
    is ask('POST', '/queue')->{json}{number}, 3, 'the next number is the next';
    unlike $nginx->error_log, qr/\[(?:alert|crit|emerg)\]/, 'nothing in error.log';
    is scalar(grep { /ticket:.*(?:\Q$pass\E|\Q$queue\E|\Q$secret\E)/ } split /\n/, $nginx->error_log), 0,
        'no token in what the module logs';
    ok index($nginx->error_log, $secret) < 0, 'and no secret at all';
};

done_testing;
