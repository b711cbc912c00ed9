# The gate: who goes through and with which headers, what the others are
# shown, and that neither bodies, pipelining, lost clients nor a slow Redis
# upset it.

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use Ticket::Test;
use Ticket::Http qw(http http_raw);
use Ticket::Http::Jar;
use Ticket::Http::Response;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Service;
use Ticket::Token qw(token);
use Time::HiRes qw(sleep time);

my $dir = temp_dir();

sub write_file {
    my ($name, $content) = @_;
    open my $fh, '>', "$dir/$name" or die "$dir/$name: $!\n";
    print {$fh} $content;
    close $fh or die "$dir/$name: $!\n";
    return "$dir/$name";
}

# An upstream that answers with the head of the request as it came, and tells
# how long the body was.
my $echo = write_file('echo.pl', <<'END');
use strict;
use warnings;
use IO::Socket::UNIX;
$SIG{PIPE} = 'IGNORE';
$SIG{TERM} = sub { exit };
my $listen = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 100) or die "listen: $!\n";
while (1) {
    my $fh = $listen->accept or next;
    my $in = '';
    while ($in !~ /\r\n\r\n/) { sysread $fh, $in, 65536, length $in or last }
    my ($head, $body) = $in =~ /^(.*?)\r\n\r\n(.*)$/s or next;
    my $length = length $body;
    my $left = ($head =~ /^Content-Length: ([0-9]+)/mi ? $1 : 0) - $length;
    while ($left > 0) { my $got = sysread $fh, my $more, 65536 or last; $left -= $got; $length += $got }
    print {$fh} "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nX-Body: $length\r\n\r\n$head";
    close $fh;
}
END
Ticket::Service->launch(name => 'upstream', command => [$^X, $echo, "$dir/up.sock"], log => "$dir/upstream.log")
    ->await(sub { Ticket::Service::accepts("$dir/up.sock") }, 10, 'upstream');

my @vars = qw(state room number position waiting session identity pass queue_url refresh);
write_file('wait.shtml', join("\n", map { "$_=[<!--# echo var=\"ticket_$_\" default=\"\" -->]" } @vars) . "\nend\n");
write_file('wait.html', 'w' x 5000);

# A certificate of our own, for the server that speaks TLS.
my ($no_tls, undef, $why) = run(qw(openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=localhost),
    '-keyout', "$dir/tls.key", '-out', "$dir/tls.crt");
die "openssl: $why\n" if $no_tls;

my $redis = Ticket::Redis->new(dir => $dir);
my $nginx = Ticket::Nginx->new(redis => $redis, http => <<'END');
    ticket_redis unix:%%REDIS%% timeout=1s;
    ticket_zone  rooms:8m interval=50ms;
    ticket_keys  %%KEYS%%;
    ticket_room  open  { session 1h; early_polls allow; }
    ticket_room  full  { slots 1; session 1h; claim 1h; liveness 1h; early_polls allow; }
    ticket_room  show  { slots 1; session 1h; claim 1h; liveness 1h; early_polls allow; }
    ticket_room  crowd { slots 1; session 1h; claim 1h; liveness 1h; early_polls allow; }
    upstream echo { server unix:%%DIR%%/up.sock; }
    underscores_in_headers on;
    client_max_body_size 4m;
    root %%DIR%%;
    server {
        listen unix:%%SOCK%%;
        proxy_set_header X-Ticket-Pass $ticket_pass;
        location /open/     { ticket_gate open queue=/q; proxy_pass http://echo/; }
        location /full/     { ticket_gate full queue=/q; proxy_pass http://echo/; }
        location /local/    { ticket_gate full queue=/q check=local; proxy_pass http://echo/; }
        location /show/     { ticket_gate show:$arg_show queue=/q?show=$arg_show; proxy_pass http://echo/; }
        location /showlocal/ { ticket_gate show:$arg_show check=local; proxy_pass http://echo/; }
        location /noqueue/  { ticket_gate full; proxy_pass http://echo/; }
        location /nego/     { ticket_gate full status=429; proxy_pass http://echo/; }
        location /ssi/      { ticket_gate full queue=/q page=/wait.shtml; proxy_pass http://echo/; }
        location /page200/  { ticket_gate full page=/wait.html status=200; proxy_pass http://echo/; }
        location /page202/  { ticket_gate full page=/wait.html status=202; proxy_pass http://echo/; }
        location /page429/  { ticket_gate full page=/wait.html status=429; proxy_pass http://echo/; }
        location /page503/  { ticket_gate full page=/wait.html status=503; proxy_pass http://echo/; }
        location /crowd/    { ticket_gate crowd; proxy_pass http://echo/; }
        location /satisfy/  { satisfy any; allow all; ticket_gate full; proxy_pass http://echo/; }
        location /named/    { try_files /none @named; }
        location /twice/    { ticket_gate full; try_files /none @named; }
        location /rewritten { rewrite ^ /full/x last; }
        location @named     { ticket_gate full; proxy_pass http://echo; }
        location = /wait.shtml { internal; ssi on; ssi_types *; types { } default_type text/html; add_header Refresh $ticket_refresh always; }
        location = /wait.html  { internal; types { } default_type text/html; }
        location = /q      { ticket_queue full; }
        location = /q/open { ticket_queue open; }
        location = /q/show { ticket_queue show:$arg_show; }
        location = /q/crowd { ticket_queue crowd; }
    }
    server {
        listen unix:%%DIR%%/b.sock;
        ticket_gate full queue=/q page=/wait.html status=503;
        location /      { proxy_pass http://echo/; location /deep/ { proxy_pass http://echo/; } }
        location = /q   { ticket_queue full; }
        location /free/ { ticket_gate off; proxy_pass http://echo/; location /free/deep/ { proxy_pass http://echo/; } }
        location /open/ { ticket_gate open; proxy_pass http://echo/; }
        location = /wait.html { }
    }
    server {
        listen unix:%%DIR%%/tls.sock ssl http2;
        ssl_certificate     %%DIR%%/tls.crt;
        ssl_certificate_key %%DIR%%/tls.key;
        location = /q   { ticket_queue open; }
        location /open/ { ticket_gate open queue=/q; proxy_pass http://echo/; }
        location /full/ { ticket_gate full page=/wait.shtml status=503; proxy_pass http://echo/; }
        location = /wait.shtml { internal; ssi on; ssi_types *; types { } default_type text/html; }
    }
END

my ($secret) = slurp($nginx->keys_file) =~ /^1 ([0-9a-f]+)$/m;
my @browser  = (Accept => 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8');

sub ask {
    my ($method, $path, %more) = @_;
    return $nginx->http({method => $method, path => $path, %more});
}

sub join_line {
    my ($path) = @_;
    my $jar = Ticket::Http::Jar->new;
    my $answer = ask('POST', $path, jar => $jar);
    $answer->{status} == 201 or die "join $path: $answer->{status}\n";
    return ($jar, $answer->{json});
}

# The headers the upstream got, as [name, value] in order.
sub upstream_headers {
    my ($answer) = @_;
    my (undef, @lines) = split /\r\n/, $answer->{body};
    return map { [split /: ?/, $_, 2] } @lines;
}

sub passed {
    my ($answer, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok $answer->{status} == 200 && exists $answer->{headers}{'x-body'}, $name || 'goes through'
        || diag explain $answer;
}

# A program is told that it is not admitted; nothing reached the upstream.
sub held_back {
    my ($answer, $name, $queue) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $json = $answer->{json} // {};
    ok $answer->{status} == 403 && $answer->{headers}{'content-type'} eq 'application/problem+json'
        && ($json->{code} // '') eq 'not_admitted' && $answer->{headers}{'cache-control'} eq 'no-store'
        && !@{$answer->{set_cookie}}, $name or diag explain $answer;
    is $json->{queue}, $queue, "$name: the queue's address" if @_ > 2;
    return;
}

# The one who has the slot of "full", and the first in line there.
my ($first, $session) = join_line('/q');
my ($second) = join_line('/q');

subtest 'a valid pass' => sub {
    is $session->{state}, 'admitted', 'the first is admitted';
    my $answer = ask('GET', '/full/some/page?a=b', jar => $first);
    passed($answer);
    like $answer->{body}, qr{^GET /some/page\?a=b HTTP/}, 'to where it wanted';
    my %got;
    push @{$got{$_->[0]}}, $_->[1] for upstream_headers($answer);
    is_deeply $got{'X-Ticket-Room'}, ['full'], 'X-Ticket-Room';
    is_deeply $got{'X-Ticket-Number'}, [1], 'X-Ticket-Number';
    is_deeply $got{'X-Ticket-Session'}, [$session->{session}], 'X-Ticket-Session';
    is_deeply $got{'X-Ticket-Pass'}, [$first->get('ticket-pass-full')], 'X-Ticket-Pass from $ticket_pass';
    ok !exists $got{'X-Ticket-Identity'}, 'no X-Ticket-Identity';
    passed(ask($_, '/full/', headers => {'X-Ticket-Pass' => $first->get('ticket-pass-full')}), "$_ with a header")
        for qw(POST PUT DELETE OPTIONS);
    passed(ask('GET', '/full/', headers => {@browser}, jar => $first), 'a browser');
    my ($show, $json) = join_line('/q/show?show=a');
    passed($answer = ask('GET', '/show/?show=a', jar => $show), 'a room instance');
    like $answer->{body}, qr/^X-Ticket-Room: show:a\r$/m, 'by its full name';
    held_back(ask('GET', '/show/?show=b', jar => $show), 'not another instance', '/q?show=b');
    is ask('GET', '/show/?show=a/b', jar => $show)->{json}{code}, 'no_such_room', 'nor one that cannot be';
};

subtest 'headers that a client made up' => sub {
    my (@headers, @others);
    my @ours = qw(X-Ticket-Room x-ticket-room X-TICKET-SESSION X-Ticket-Session x-Ticket-nUmber X-Ticket-Identity
        X_Ticket_Room x-ticket_session X_TICKET-NUMBER x_ticket_identity);
    my @lookalikes = qw(X-Ticket-Rooms X-Ticket-Roo XX-Ticket-Room X-Ticket--Room Ticket-Room X-Ticket-Sessions);
    for my $i (1 .. 60) {
        push @headers, "X-Other-$i" => "value $i", $ours[$i % @ours] => 'forged';
        push @others,  ["X-Other-$i", "value $i"];
        if ($i <= @lookalikes) {
            push @headers, $lookalikes[$i - 1] => 'kept';
            push @others,  [$lookalikes[$i - 1], 'kept'];
        }
    }
    for my $path ('/full/', '/local/', '/twice/') {
        my $answer = ask('GET', $path, jar => $first, headers => [@headers, 'X-Last' => 'z']);
        passed($answer, $path);
        unlike $answer->{body}, qr/forged/, "$path: none of them arrives";
        my @got = upstream_headers($answer);
        is_deeply [grep { $_->[1] =~ /^(?:value|kept|z$)/ } @got], [@others, ['X-Last', 'z']],
            "$path: the others do, in their order";
        is_deeply [sort map { "@$_" } grep { $_->[0] =~ /^x.ticket.(?:room|session|number|identity)$/i } @got],
            ['X-Ticket-Number 1', 'X-Ticket-Room full', "X-Ticket-Session $session->{session}"], "$path: and ours, once";
    }
    my $answer = ask('GET', '/full/', headers => ['X-Ticket-Pass' => 'x', 'X-Ticket-Pass' => $first->get('ticket-pass-full')]);
    is_deeply [map { $_->[1] } grep { lc $_->[0] eq 'x-ticket-pass' } upstream_headers($answer)],
        [$first->get('ticket-pass-full')], 'the pass that was checked is the one that goes on';
};

subtest 'who does not go through' => sub {
    held_back(ask('GET', '/full/'), 'nobody knows him', '/q');
    held_back(ask('GET', '/noqueue/'), 'no address configured', undef);
    held_back(ask('GET', '/full/', jar => $second), 'one who waits', '/q');
    is ask('HEAD', '/full/')->{status}, 403, 'HEAD';
    held_back(ask($_, '/full/'), $_) for qw(POST PUT DELETE OPTIONS);
    my $queue = $second->get('ticket-queue-full');
    my $good  = $first->get('ticket-pass-full');
    my ($epoch) = $session->{session} =~ /^([0-9]+)-/;
    my %made = (room => 'full', secret => $secret, epoch => $epoch);
    my %bad = (
        'a queue token as a pass'    => $queue,
        'cut short'                  => substr($good, 0, 63),
        'too long'                   => $good . 'A',
        'altered'                    => substr($good, 0, 20) . (substr($good, 20, 1) eq 'A' ? 'B' : 'A') . substr($good, 21),
        'empty'                      => '',
        'of another room'            => Ticket::Token::pass(%made, room => 'open'),
        'of an instance of the room' => Ticket::Token::pass(%made, room => 'full:a'),
        'of a past epoch'            => Ticket::Token::pass(%made, epoch => $epoch - 1),
        'of another key'             => Ticket::Token::pass(%made, secret => 'ab' x 32),
        'of an unknown key id'       => Ticket::Token::pass(%made, key_id => 2),
        'that has run out'           => Ticket::Token::pass(%made, seconds => -1),
        'of another version'         => Ticket::Token::pass(%made, version => 2),
    );
    for my $what (sort keys %bad) {
        for my $path ('/full/', '/local/', '/twice/', '/named/', '/rewritten', '/satisfy/') {
            held_back(ask('GET', $path, headers => {'X-Ticket-Pass' => $bad{$what}}), "a pass $what at $path");
        }
    }
    held_back(ask('GET', '/full/', headers => {'X-Ticket-Pass' => Ticket::Token::pass(%made, number => 2)}),
        'a good pass of a session that is not');
    held_back(ask('GET', '/full/', headers => {'X-Ticket-Queue' => token(%made, kind => 'queue', number => 2, secret => 'ab' x 32)}),
        'a queue token of another key');
    held_back(ask('GET', $_), "satisfy any, try_files, rewrite: $_") for qw(/satisfy/ /named/ /twice/ /rewritten);
    passed(ask('GET', $_, jar => $first), "with a pass: $_") for qw(/satisfy/ /named/ /twice/ /rewritten);
    my ($other) = join_line('/q/open');
    my ($show) = join_line('/q/show?show=c');
    my ($line) = join_line('/q/show?show=c');
    my %real = (open => $other->get('ticket-pass-open'), 'show:c' => $show->get('ticket-pass-show~c'));
    for my $from (sort keys %real) {
        held_back(ask('GET', $_, headers => {'X-Ticket-Pass' => $real{$from}}), "a real pass of $from at $_")
            for '/full/', '/local/', '/show/?show=d', '/showlocal/?show=d';
    }
    passed(ask('GET', '/showlocal/?show=c', jar => $show), 'which is good where it belongs');
    held_back(ask('GET', $_, headers => {'X-Ticket-Pass' => $line->get('ticket-queue-show~c')}), "a real queue token as a pass at $_")
        for '/show/?show=c', '/showlocal/?show=c';
    my $odd = ask('GET', '/show/?show="\\%20');
    is $odd->{json}{code}, 'no_such_room', 'odd characters in the value';
};

subtest 'Accept' => sub {
    my %page = (
        'text/html' => 1, 'TEXT/HTML' => 1, $browser[1] => 1, 'text/html, application/json' => 1,
        'application/json;q=0.4, text/html;q=0.5' => 1, 'application/json, text/html;q=0.5' => 0,
        'text/html ; q=0.2 , application/json ; q=0.3' => 0, 'text/html;level=1;Q=0.3,application/json;q=0.2' => 1,
        ', ,text/html,' => 1, "\ttext/html;q=1.000" => 1, 'text/html;q=0' => 0, 'text/html;q=0.000' => 0,
        'text/html;q=0.001' => 1, 'text/html;q=1.001' => 0, 'text/html;q=x' => 0, 'text/html;q=-1' => 0, 'text/htmlx' => 0,
        'xtext/html' => 0, 'text/htm' => 0, '*/*' => 0, 'text/*' => 0, 'application/json' => 0, 'application/json, */*' => 0,
        '' => 0, ',' => 0, ';' => 0, 'text/html;q' => 1, ';q=1' => 0, 'image/avif,image/webp,*/*' => 0,
    );
    for my $accept (sort keys %page) {
        is ask('HEAD', '/nego/', headers => {Accept => $accept})->{status}, $page{$accept} ? 429 : 403,
            "'$accept': " . ($page{$accept} ? 'page' : 'problem');
    }
    is ask('HEAD', '/nego/')->{status}, 403, 'none: problem';
};

subtest 'the waiting page' => sub {
    my $jar = Ticket::Http::Jar->new;
    my $answer = ask('GET', '/ssi/x?a=b', headers => {@browser}, jar => $jar);
    is $answer->{status}, 200, 'status 200 by default';
    is $answer->{headers}{'content-type'}, 'text/html', 'HTML';
    is $answer->{headers}{'cache-control'}, 'no-store', 'not cached';
    is $answer->{headers}{'x-robots-tag'}, 'noindex', 'not for search engines';
    is_deeply [$jar->names], ['ticket-queue-full'], 'the visitor has joined on the way';
    my ($last) = $answer->{body} =~ /^number=\[([0-9]+)\]$/m;
    ok $last, 'has a number';
    eventually { ask('GET', '/ssi/', headers => {@browser}, jar => $jar)->{body} =~ /^position=\[[0-9]+\]$/m } 5,
        'and a position';
    $answer = ask('GET', '/ssi/', headers => {@browser}, jar => $jar);
    my %var = $answer->{body} =~ /^(\w+)=\[(.*)\]$/mg;
    is_deeply [@var{qw(state room number position session identity pass queue_url)}],
        ['waiting', 'full', $last, $var{waiting}, '', '', '', '/q'], 'the last in line';
    cmp_ok $var{waiting}, '>=', 2, 'of several';
    like $var{refresh}, qr/^[0-9]+$/, 'with a time to reload';
    like $answer->{headers}{refresh}, qr/^[0-9]+$/, 'also as a header';
    like $answer->{body}, qr/^end$/m, 'the page is whole';
    is_deeply $answer->{set_cookie}, [], 'no new token';
    is ask('GET', '/wait.shtml')->{status}, 404, 'the page itself is internal';

    my $before = $redis->cmd('HGET', 'ticket:{full}', 'issued');
    for my $method (qw(HEAD POST PUT)) {
        my $new = Ticket::Http::Jar->new;
        my $got = ask($method, '/ssi/', headers => {@browser}, jar => $new, body => $method eq 'HEAD' ? undef : 'a=b');
        is $got->{status}, 200, "$method that prefers HTML gets the page";
        like $got->{body}, qr/^end$/m, 'in full' if $method ne 'HEAD';
        is $got->{body}, '', 'without a body' if $method eq 'HEAD';
        is_deeply [$new->names], [], "and no place";
    }
    is $redis->cmd('HGET', 'ticket:{full}', 'issued'), $before, 'no number was issued for them';
};

subtest 'its status' => sub {
    for my $status (200, 202, 429, 503) {
        my $answer = ask('GET', "/page$status/", headers => {@browser}, jar => $second);
        is $answer->{status}, $status, "status $status";
        is $answer->{body}, 'w' x 5000, 'the page';
        is $answer->{headers}{'cache-control'}, 'no-store', 'not cached';
        is $answer->{headers}{'x-robots-tag'}, 'noindex', 'not for search engines';
        my %conditional = (
            'If-Modified-Since' => 'Fri, 01 Jan 2100 00:00:00 GMT', 'If-Unmodified-Since' => 'Thu, 01 Jan 1970 00:00:01 GMT',
            'If-None-Match' => '*', 'If-Match' => '"x"', 'Range' => 'bytes=0-9',
        );
        for my $name (sort keys %conditional) {
            for my $path ("/page$status/", '/ssi/') {
                my $got = ask('GET', $path, headers => {@browser, $name => $conditional{$name}}, jar => $second);
                is $got->{status}, $path eq '/ssi/' ? 200 : $status, "$name at $path";
                like $got->{body}, qr/^(?:w{5000}|.*\nend\n)\z/s, "$name at $path: the whole page";
            }
        }
    }
};

subtest 'the plain page' => sub {
    my $jar = Ticket::Http::Jar->new;
    my $answer = ask('GET', '/noqueue/', headers => {@browser}, jar => $jar);
    is $answer->{status}, 200, 'without page=';
    is $answer->{headers}{'content-type'}, 'text/html; charset=utf-8', 'is HTML';
    is $answer->{headers}{'cache-control'}, 'no-store', 'not cached';
    is $answer->{headers}{'x-robots-tag'}, 'noindex', 'not for search engines';
    like $answer->{headers}{refresh}, qr/^[0-9]+$/, 'reloads itself';
    is_deeply [$jar->names], ['ticket-queue-full'], 'gives a place';
    eventually { ask('GET', '/noqueue/', headers => {@browser}, jar => $jar)->{body} =~ /Your position: [0-9]+ of [0-9]+\./ } 5,
        'and shows it';
    is ask('GET', '/nego/', headers => {@browser}, jar => $jar)->{status}, 429, 'with the status';
    my $bad = Ticket::Http::Jar->new->set('ticket-queue-full', 'x')->set('ticket-pass-full', 'y');
    is ask('GET', '/noqueue/', headers => {@browser}, jar => $bad)->{status}, 200, 'bad cookies';
    like $bad->get('ticket-queue-full'), qr/^[\w-]{64}$/, 'are replaced by a place';
};

subtest 'a gate for a server' => sub {
    my $b = "unix:$dir/b.sock";
    held_back(http($b, 'GET', $_), "$_ is gated", '/q') for '/', '/deep/x', '/nowhere';
    passed(http($b, {method => 'GET', path => $_, jar => $first}), "$_ with a pass") for '/', '/deep/x';
    is http($b, 'GET', '/', {@browser})->{status}, 503, 'a browser gets the page';
    my $jar = Ticket::Http::Jar->new;
    is http($b, {method => 'POST', path => '/q', jar => $jar})->{status}, 201, 'the queue is not gated';
    is http($b, {method => 'GET', path => '/q', jar => $jar})->{json}{state}, 'waiting', 'it can be polled';
    passed(http($b, 'GET', $_), "off: $_") for '/free/', '/free/deep/';
    is http($b, 'GET', '/wait.html')->{status}, 403, 'the page is gated when asked for directly';
    held_back(http($b, {method => 'GET', path => '/open/', jar => $first}), 'a location may have another room');
};

subtest 'bodies, keep-alive, pipelining' => sub {
    my $body = 'b' x 1_000_000;
    my $client = Ticket::Http->new($nginx->target);
    my %in = (method => 'POST', path => '/full/', jar => $first, body => $body);
    my %out = (%in, jar => $second);
    for my $round (1 .. 3) {
        my $answer = $client->request({%in});
        passed($answer, "POST of 1 MB with a pass, $round");
        is $answer->{headers}{'x-body'}, 1_000_000, 'arrives in full';
        held_back($client->request({%out}), 'POST of 1 MB without');
        is $client->request({%out, path => '/ssi/', headers => {@browser}})->{status}, 200, 'by a browser, that gets the page';
        is $client->request({%in, path => '/q'})->{json}{state}, 'admitted', 'to the queue';
        is $client->request({%in, body => undef, method => 'GET'})->{headers}{'x-body'}, 0, 'then one without a body';
    }
    my $pass = $first->get('ticket-pass-full');
    my $head = sub { my ($method, $path, @lines) = @_; join "\r\n", "$method $path HTTP/1.1", 'Host: x', @lines, '', '' };
    my @requests = (
        $head->('GET', '/full/1', "X-Ticket-Pass: $pass"), $head->('GET', '/full/2'),
        $head->('POST', '/full/3', "X-Ticket-Pass: $pass", 'Content-Length: 100000') . 'c' x 100_000,
        $head->('POST', '/full/4', 'Content-Length: 100000') . 'c' x 100_000,
        $head->('GET', '/q', "X-Ticket-Pass: $pass"), $head->('POST', '/q', "X-Ticket-Pass: $pass", 'Content-Length: 3') . 'abc',
        $head->('GET', '/full/5', "X-Ticket-Pass: $pass", 'Connection: close'),
    );
    my $raw = http_raw($nginx->target, join '', @requests);
    my @status = $raw =~ m{HTTP/1\.1 ([0-9]{3}) }g;
    is "@status", '200 403 200 403 200 200 200', 'seven requests in one write' or diag $raw;
    is_deeply [$raw =~ m{^(?:GET|POST) /([0-9])}mg], [1, 3, 5], 'those with a pass arrived, in order';
};

subtest 'over TLS and HTTP/2' => sub {
    my $tls = sub {
        my ($path, @options) = @_;
        my (undef, $out) = run('curl', '-sk', '--http2', '--unix-socket', "$dir/tls.sock", '-D', '-', @options, "https://localhost$path");
        return $out;
    };
    my $joined = $tls->('/q', '-X', 'POST');
    like $joined, qr{^HTTP/2 201 }, 'POST joins';
    my ($name, $pass, $attributes) = $joined =~ /^set-cookie: ([^=]+)=([\w-]{64}); (.*?)\r$/m;
    is $name, '__Host-ticket-pass-open', 'the cookie has the prefix';
    like $attributes, qr{^Path=/; Max-Age=[0-9]+; HttpOnly; SameSite=Lax; Secure$}, 'and what it demands';
    write_file('body', 'b' x 1_000_000);
    my @forged = map { ('-H', "$_: forged") } qw(X-Ticket-Room x-ticket-session X-Ticket-Number x_ticket_room X-Ticket-Room);
    my $answer = $tls->('/open/', '-H', "Cookie: a=b; $name=$pass", @forged, '--data-binary', "\@$dir/body");
    like $answer, qr{^HTTP/2 200 .*^x-body: 1000000\r$}ms, 'POST of 1 MB goes through';
    unlike $answer, qr/forged/, 'headers made up do not';
    is_deeply [$answer =~ /^X-Ticket-Room: (.*?)\r$/mg], ['open'], 'the true one does, once';
    like $tls->('/open/', '-H', "Cookie: ticket-pass-open=$pass"), qr{^HTTP/2 403 }, 'a cookie without the prefix is not read';
    like $tls->('/full/', '-H', "X-Ticket-Pass: $pass", '--data-binary', "\@$dir/body"), qr{^HTTP/2 403 .*"not_admitted"}s, 'POST of 1 MB without a pass';
    $answer = $tls->('/full/', '-H', 'Accept: text/html');
    like $answer, qr{^HTTP/2 503 .*^state=\[waiting\]\n.*^end\n}ms, 'a browser gets the page';
    like $answer, qr{^set-cookie: __Host-ticket-queue-full=[\w-]{64}; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure\r$}m, 'and a place';
};

# In this order: the slot of "full" passes on to $second.
subtest 'a pass that was released' => sub {
    my %old = (headers => {'X-Ticket-Pass' => $first->get('ticket-pass-full')});
    is ask('DELETE', '/q', jar => $first)->{status}, 204, 'released';
    held_back(ask('GET', '/full/', %old), 'check=redis: refused at once', '/q');
    passed(ask('GET', '/local/', %old), 'check=local: known by its signature alone');
    held_back(ask('GET', '/full/', %old), 'and still refused');
    $old{headers}{Accept} = 'text/html';
    like ask('GET', '/noqueue/', %old)->{set_cookie}[0], qr/^ticket-queue-full=[\w-]{64};/, 'a browser begins anew';
};

subtest 'a called visitor is admitted on the way' => sub {
    eventually { ask('GET', '/q', jar => $second)->{json}{state} eq 'called' } 5, 'called';
    my $queue = $second->get('ticket-queue-full');
    my $answer = ask('POST', '/full/', jar => $second, body => 'b' x 300_000);
    passed($answer, 'POST goes through');
    is $answer->{headers}{'x-body'}, 300_000, 'with its body';
    my %got = map { @$_ } upstream_headers($answer);
    is $got{'X-Ticket-Number'}, 2, 'with the number';
    is_deeply [$second->names], ['ticket-pass-full'], 'has a pass, and no queue token any more';
    is $got{'X-Ticket-Pass'}, $second->get('ticket-pass-full'), 'which the upstream sees';
    my ($epoch) = $got{'X-Ticket-Session'} =~ /^([0-9]+)-2$/;
    is $redis->cmd('ZCARD', "ticket:{full}:$epoch:sess"), 1, 'one session';
    my $ends = $redis->cmd('ZSCORE', "ticket:{full}:$epoch:sess", 2);
    for my $round (1 .. 3) {
        $answer = ask('GET', '/full/', headers => {'X-Ticket-Queue' => $queue});
        passed($answer, 'the queue token again');
        is +{map { @$_ } upstream_headers($answer)}->{'X-Ticket-Session'}, $got{'X-Ticket-Session'}, 'is the same session';
    }
    is $redis->cmd('ZSCORE', "ticket:{full}:$epoch:sess", 2), $ends, 'that ends when it did';
    is $redis->cmd('ZCARD', "ticket:{full}:$epoch:sess"), 1, 'and is the only one';
    passed(ask('GET', '/full/', jar => $second), 'the pass is good');

    my $pass = $second->get('ticket-pass-full');
    is ask('DELETE', '/q', jar => $second)->{status}, 204, 'released';
    held_back(ask('GET', '/full/', headers => {'X-Ticket-Pass' => $pass}), 'the pass again');
    held_back(ask('GET', '/full/', headers => {'X-Ticket-Queue' => $queue}), 'the queue token again');
    my $jar = Ticket::Http::Jar->new->set('ticket-queue-full', $queue)->set('ticket-pass-full', $pass);
    is ask('GET', '/noqueue/', headers => {@browser}, jar => $jar)->{headers}{'x-body'}, undef, 'a browser with both';
    isnt $jar->get('ticket-queue-full'), $queue, 'has a new place';
};

# Resident memory of all workers, in kilobytes.
sub memory {
    my $sum = 0;
    for my $pid ($nginx->worker_pids) {
        $sum += $1 if slurp("/proc/$pid/status") =~ /^VmRSS:\s+([0-9]+) kB$/m;
    }
    return $sum;
}

# Sends each request on a connection of its own and closes it soon after,
# without having seen an answer.
sub abandon {
    my (@requests) = @_;
    my @open;
    for my $bytes (@requests) {
        my $fh = IO::Socket::UNIX->new(Peer => $nginx->socket) or die "connect: $!\n";
        $fh->blocking(0);
        syswrite $fh, $bytes;
        push @open, $fh;
    }
    sleep 0.1;
    close $_ for @open;
    return;
}

subtest 'clients that go away while Redis is slow' => sub {
    my ($in) = join_line('/q/crowd');
    my ($waits) = join_line('/q/crowd');
    my ($pass, $queue) = ($in->get('ticket-pass-crowd'), $waits->get('ticket-queue-crowd'));
    my $head = sub { my ($method, $path, @lines) = @_; join "\r\n", "$method $path HTTP/1.1", 'Host: x', @lines, '', '' };
    my @requests = (
        $head->('POST', '/q/crowd', 'Content-Length: 0'), $head->('GET', '/crowd/', 'Accept: text/html'),
        $head->('GET', '/crowd/', "X-Ticket-Pass: $pass"), $head->('POST', '/q/crowd', "X-Ticket-Pass: $pass", 'Content-Length: 0'),
        $head->('POST', '/crowd/', "X-Ticket-Pass: $pass", 'Content-Length: 1000000') . 'b' x 50_000,
        $head->('DELETE', '/q/crowd', "X-Ticket-Queue: $queue"),
    );
    my @pids = $nginx->worker_pids;
    my @memory;
    for my $round (1 .. 6) {
        kill 'STOP', $redis->pid;
        abandon((@requests) x 20);
        my $stays = Ticket::Http->new($nginx->target)->many([map { {method => 'GET', path => '/crowd/', jar => $in} } 1 .. 5])
            if $round == 2;
        passed($_, 'one who stays is let in by the signature') for @{$stays // []};
        kill 'CONT', $redis->pid;
        ok within(sub { ask('POST', '/q/open')->{status} == 201 }, 10), "round $round: it goes on";
        passed(ask('GET', '/crowd/', jar => $in), 'the session is as before');
        push @memory, memory();
    }
    is ask('POST', '/q/crowd', jar => $in)->{json}{number}, 1, 'the same number';
    is join(' ', $nginx->worker_pids), "@pids", 'the workers have lived on';
    SKIP: {
        skip 'a sanitizer keeps freed memory for a while', 1 if $ENV{TICKET_SANITIZE};
        cmp_ok $memory[-1] - $memory[1], '<', 2048, "memory has settled: @memory kB";
    }
};

done_testing;
