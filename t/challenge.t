# ticket_challenge: no number without a proof of work, which is good for one
# join, one visitor and one room, and costs more when many join.  Those who
# cannot solve it have a way of their own, with a strict limit.

use lib 't/lib';
use Digest::SHA qw(sha256);
use IO::Socket::INET;
use Ticket::Test;
use Ticket::Http::Jar;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $probe = IO::Socket::INET->new(Listen => 1, LocalAddr => '0.0.0.0') or die "listen: $!\n";
my $port  = $probe->sockport;
close $probe;

my $redis = Ticket::Redis->new(dir => temp_dir());
my $extra = <<"CONF";
    listen $port;
    location = /pow     { ticket_challenge pow difficulty=10 max=14 rate=1000; ticket_queue show; }
    location = /hard    { ticket_challenge pow difficulty=32 max=32; ticket_queue show; }
    location = /steep   { ticket_challenge pow difficulty=4 max=9 rate=1; ticket_queue show:steep; }
    location = /other   { ticket_challenge pow difficulty=10; ticket_queue show:other; }
    location = /bound   { ticket_bind \$http_x_device; ticket_challenge pow difficulty=10; ticket_queue show; }
    location = /known   { ticket_identity \$http_x_user; ticket_challenge pow difficulty=10; ticket_queue show; }
    location = /mode    { ticket_challenge \$http_x_mode difficulty=10; ticket_queue show; }
    location = /gate    { ticket_challenge pow difficulty=10; ticket_gate show queue=/pow page=/wait.txt; proxy_pass http://unix:%%SOCK%%:/told; }
    location = /bare    { ticket_challenge pow difficulty=10; ticket_gate show queue=/pow; proxy_pass http://unix:%%SOCK%%:/told; }
    location = /plain   { limit_req zone=plain burst=2 nodelay; limit_req_status 429; ticket_gate show queue=/pow page=/wait.txt; proxy_pass http://unix:%%SOCK%%:/told; }
    location = /limited { limit_req zone=joins burst=4 nodelay; limit_req_status 429; ticket_queue show; }
    location = /wait.txt { internal; ssi on; ssi_types *; root %%DIR%%; }
CONF
open my $fh, '>', temp_dir() . '/wait.txt' or die "wait.txt: $!\n";
print {$fh} '[<!--# echo var="ticket_state" default="none" -->|<!--# echo var="ticket_number" default="none" -->|<!--# echo var="ticket_refresh" -->]';
close $fh or die "wait.txt: $!\n";

# What docs/directives.md shows.
my $limits = <<'CONF';
    map "$request_method:$http_cookie" $joiner {
        default                                "";
        "~^POST:(?:.*;)? *ticket-queue-show="  "";
        "~^POST:"                              $binary_remote_addr;
    }
    limit_req_zone $joiner             zone=joins:1m rate=1r/m;
    limit_req_zone $binary_remote_addr zone=plain:1m rate=1r/m;
CONF
my $http = $limits . line_http('slots 1; session 60s; claim 30s; liveness 60s;', extra => $extra);
my $node = Ticket::Nginx->new(redis => $redis, workers => 2, http => $http);

sub first_bits { return substr unpack('B*', sha256($_[0])), 0, $_[1] }

sub solve {
    my ($challenge, $difficulty) = @_;
    my $nonce = int rand 2**40; # visitors behind one address get one challenge
    $nonce++ while first_bits("$challenge.$nonce", $difficulty) =~ /1/;
    return "$challenge.$nonce";
}

sub post { my ($path, %headers) = @_; return $node->http('POST', $path, \%headers) }

# A proof as a visitor gets it.
sub proof {
    my ($path, %headers) = @_;
    my $json = post($path, %headers)->{json};
    return solve($json->{challenge}, $json->{difficulty});
}

# Refused with a challenge, and nothing else.
sub required {
    my ($answer, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $json = $answer->{json} // {};
    return ok $answer->{status} == 403 && ($json->{code} // '') eq 'proof_required' && $json->{challenge}
        && $json->{difficulty} && !@{$answer->{set_cookie}}, $name || 'a proof is required' || diag explain $answer;
}

sub issued { return $redis->cmd('HGET', 'ticket:{show}', 'issued') // 0 }

my $inside = Ticket::Http::Jar->new;
$node->http({method => 'POST', path => '/queue', jar => $inside});

subtest 'a proof' => sub {
    my $asked = post('/pow');
    required($asked);
    is $asked->{headers}{'content-type'}, 'application/problem+json', 'as a problem';
    is $asked->{json}{difficulty}, 10, 'of the difficulty';
    is post('/pow')->{json}{challenge}, $asked->{json}{challenge}, 'the same for all who seem to be the same';
    like $asked->{json}{challenge}, qr/^[0-9a-f-]+$/, 'fit for a header';
    is issued(), 1, 'no number was given out';
    my $proof = solve($asked->{json}{challenge}, 10);
    my $answer = post('/pow', 'X-Ticket-Proof' => $proof);
    is $answer->{status}, 201, 'the solution gives one';
    is $answer->{json}{number}, 2, 'the next';
    required(post('/pow', 'X-Ticket-Proof' => $proof), 'only once');
    my @many = map { {method => 'POST', path => '/pow', headers => {'X-Ticket-Proof' => $_}} } (proof('/pow')) x 40;
    is scalar(grep { $_->{status} == 201 } @{$node->http_many(\@many, concurrency => 40)}), 1, 'also when it is sent forty times at once';
    is issued(), 3, 'which gave one number';
    my ($token) = map { /^ticket-queue-show=([^;]+)/ } @{$answer->{set_cookie}};
    is post('/pow', 'X-Ticket-Queue' => $token)->{status}, 200, 'who has a number needs no proof';
    is $node->http('GET', '/pow', {'X-Ticket-Queue' => $token})->{status}, 200, 'nor to poll';
    is post('/pow', 'X-Ticket-Queue' => 'x' x 64)->{json}{code}, 'bad_token', 'a bad token is a bad token';
};

subtest 'what is no proof' => sub {
    my $before = issued();
    my $json   = post('/pow')->{json};
    my $proof  = solve($json->{challenge}, $json->{difficulty});
    my ($challenge, $nonce) = $proof =~ /^(.*)\.(\d+)$/;
    my $easy = $nonce + 1;
    $easy++ while first_bits("$challenge.$easy", 10) !~ /1/;
    my %bad = (
        'of too little work' => "$challenge.$easy", 'without a nonce' => "$challenge.", 'without a challenge' => ".$nonce",
        'with an altered challenge' => $proof =~ s/(.)\./($1 eq 'a' ? 'b' : 'a') . '.'/er, 'with letters behind' => "${proof}x", 'empty' => '', 'very long' => 'x' x 5000,
        'with a blank' => "$challenge. $nonce",
    );
    required(post('/pow', 'X-Ticket-Proof' => $bad{$_}), $_) for sort keys %bad;
    required(post('/other', 'X-Ticket-Proof' => $proof), 'of another room instance');
    required(post('/hard', 'X-Ticket-Proof' => $proof), 'of too little work for this location');
    required($node->http('POST', '/bound', {'X-Ticket-Proof' => $proof, 'X-Device' => 'phone'}), 'of another visitor');
    is issued(), $before, 'none of them gave a number';
    is post('/pow', 'X-Ticket-Proof' => $proof)->{status}, 201, 'the proof itself does';
};

subtest 'whose proof' => sub {
    my $ask = sub {
        my ($address, %headers) = @_;
        my $head = join '', map { "$_: $headers{$_}\r\n" } sort keys %headers;
        my $fh = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, LocalAddr => $address) or die "connect: $!\n";
        print {$fh} "POST /pow HTTP/1.0\r\n$head\r\n";
        return do { local $/; <$fh> };
    };
    my ($challenge) = $ask->('127.0.0.1') =~ /"challenge":"([^"]+)"/;
    my $proof = solve($challenge, 10);
    like $ask->('127.0.0.2', 'X-Ticket-Proof' => $proof), qr/"proof_required"/, 'not from another address';
    like $ask->('127.0.0.1', 'X-Ticket-Proof' => $proof), qr/^HTTP\S+ 201/, 'from the same';
    $proof = proof('/bound', 'X-Device' => 'phone');
    required(post('/bound', 'X-Ticket-Proof' => $proof, 'X-Device' => 'desk'), 'nor with another bound value');
    is post('/bound', 'X-Ticket-Proof' => $proof, 'X-Device' => 'phone')->{status}, 201, 'with the same';
};

subtest 'a variable' => sub {
    required(post('/mode', 'X-Mode' => $_), $_) for qw(pow on x offf OFF);
    is post('/mode', 'X-Mode' => $_)->{status}, 201, "'$_' exempts" for '', 'off';
};

subtest 'an identity' => sub {
    required(post('/known', 'X-User' => 'kim'), 'is no proof');
    my %kim = ('X-User' => 'kim');
    my $first = post('/known', %kim, 'X-Ticket-Proof' => proof('/known', %kim));
    is $first->{status}, 201, 'with one';
    required(post('/known', %kim), 'nor when it is known');
    my $again = post('/known', %kim, 'X-Ticket-Proof' => proof('/known', %kim));
    is "$again->{status} $again->{json}{number}", "200 $first->{json}{number}", 'with one, the same number';
    my ($token) = map { /^ticket-queue-show=([^;]+)/ } @{$again->{set_cookie}};
    $node->http('DELETE', '/known', {'X-Ticket-Queue' => $token});
    my $anew = post('/known', %kim, 'X-Ticket-Proof' => proof('/known', %kim));
    is $anew->{status}, 201, 'and a new one for one proof, after giving it up';
};

subtest 'the gate' => sub {
    my $before = issued();
    my $answer = $node->http('GET', '/gate', {Accept => 'text/html'});
    is $answer->{body}, '[none|none|30]', 'a browser gets the page without a number';
    is_deeply $answer->{set_cookie}, [], 'and no token';
    like $node->http('GET', '/bare', {Accept => 'text/html'})->{body}, qr/takes a proof/, 'the built-in page says why';
    is $node->http('GET', '/gate')->{json}{code}, 'not_admitted', 'a program is told where the queue is';
    is issued(), $before, 'no number was given out';
    my $jar = Ticket::Http::Jar->new;
    $node->http({method => 'POST', path => '/pow', headers => {'X-Ticket-Proof' => proof('/pow')}, jar => $jar});
    like $node->http({method => 'GET', path => '/gate', headers => {Accept => 'text/html'}, jar => $jar})->{body},
        qr/^\[waiting\|\d+\|/, 'who has joined by the queue is in line';
    is $node->http({method => 'GET', path => '/gate', jar => $inside})->{status}, 200, 'who is inside goes through';
};

subtest 'the way without JavaScript' => sub {
    my @seen = map { $node->http('GET', '/plain', {Accept => 'text/html'}) } 1 .. 6;
    is scalar(grep { $_->{body} =~ /^\[waiting\|\d+\|/ } @seen), 3, 'three join without a proof';
    is_deeply [map { $_->{status} } @seen], [200, 200, 200, 429, 429, 429], 'and then there is a limit';
    is scalar(map { @{$_->{set_cookie}} } @seen[3 .. 5]), 0, 'before a number is given out';
};

subtest 'limit_req for joins' => sub {
    my @joined = map { $node->http('POST', '/limited') } 1 .. 8;
    is_deeply [map { $_->{status} } @joined], [(201) x 5, (429) x 3], 'joins count';
    my ($token) = map { /^ticket-queue-show=([^;]+)/ } @{$joined[0]{set_cookie}};
    my $has = sub { return $node->http($_[0], '/limited', {Cookie => $_[1]})->{status} };
    is $has->('GET', "ticket-queue-show=$token"), 200, 'a poll does not';
    is $has->('POST', "ticket-queue-show=$token"), 200, 'nor a claim';
    is $has->('POST', "a=b; ticket-queue-show=$token"), 200, 'whatever other cookies there are';
    is $has->('POST', 'xticket-queue-show=1'), 429, 'another cookie is no way around it';
    is $has->('POST', 'ticket-queue-show2=1'), 429, 'nor this one';
    is $has->('POST', 'ticket-queue-show=1'), 403, 'and a made-up token joins nothing';
};

subtest 'the difficulty follows the joins' => sub {
    my $ask = sub { return post('/steep')->{json}{difficulty} };
    is $ask->(), 4, 'nobody has joined yet';
    my $proof = solve(post('/steep')->{json}{challenge}, 4);
    my $until = time + 20;
    my ($highest, $steps) = (4, 0);
    while (time < $until) {
        $node->http_many([map { {method => 'POST', path => '/q?show=steep'} } 1 .. 20], concurrency => 20);
        my $now = $ask->();
        $steps++ if $now > $highest;
        $highest = $now if $now > $highest;
        $until = time + 3 if $now == 9 && $until > time + 3;
    }
    is $highest, 9, 'it rises with them, to the maximum and no further';
    cmp_ok $steps, '>=', 1, 'in the course of it';
    is post('/steep', 'X-Ticket-Proof' => $proof)->{status}, 201, 'who was asked for little before may still join';
    eventually { $ask->() == 4 } 60, 'it falls when they stop';
    is post('/other')->{json}{difficulty}, 10, 'another instance has its own';
};

subtest 'nginx -t' => sub {
    my $takes = qr/invalid parameter "[^"]+" in "ticket_challenge": there are difficulty= and max=/;
    for (['on', qr/"ticket_challenge" directive takes off \(alone\), pow, or a variable/],
         ['off difficulty=1', qr/takes off \(alone\)/], ['pow difficulty=0', $takes], ['pow difficulty=33', $takes], ['pow max=33', $takes],
         ['pow rate=0', $takes], ['pow rate=1.5', $takes], ['pow rate=', $takes], ['pow difficulty=x', $takes], ['pow bits=3', $takes],
         ['pow difficulty=9 max=8', qr/has a "max" below its "difficulty"/], ['pow off', $takes],
         ['', qr/invalid number of arguments in "ticket_challenge"/], ['pow; ticket_challenge off', qr/directive is duplicate/],
         ['$no_such_variable', qr/unknown "no_such_variable" variable/]) {
        my ($text, $message) = @$_;
        my ($status, $err) = $node->test_conf(line_http('slots 1;', extra => "location = /x { ticket_challenge $text; ticket_queue show; }"));
        isnt $status, 0, "ticket_challenge $text;";
        like $err, $message, 'says why';
    }
    my ($status, $err) = $node->test_conf(line_http('slots 1;', zone => 'rooms:400k', extra => 'ticket_challenge pow;'));
    isnt $status, 0, 'a zone that is too small';
    like $err, qr/ticket_zone "rooms" has no room for the 512k that "ticket_challenge" takes/, 'is told so';
    ($status, $err) = $node->test_conf('ticket_challenge pow;' . line_http('slots 1;', extra => 'location = /x { ticket_challenge off; ticket_queue show; }'));
    is $status, 0, 'http level, and off below it' or diag $err;
};

# The table is made when a reload first asks for it.
subtest 'a reload' => sub {
    my $plain = line_node(Ticket::Redis->new(dir => temp_dir(), name => 'redis-late'), 'slots 1;', name => 'late');
    is $plain->http('POST', '/queue')->{status}, 201, 'without a challenge';
    $plain->configure(http => line_http('slots 1;', extra => 'location = /pow { ticket_challenge pow difficulty=8; ticket_queue show; }'));
    $plain->reload;
    my $json = $plain->http('POST', '/pow')->{json};
    is $json->{code}, 'proof_required', 'with one';
    my $proof = solve($json->{challenge}, $json->{difficulty});
    is_deeply [map { $plain->http('POST', '/pow', {'X-Ticket-Proof' => $proof})->{status} } 1, 2], [201, 403], 'which is good once';
    $plain->reload;
    is $plain->http('POST', '/pow', {'X-Ticket-Proof' => $proof})->{status}, 403, 'also after another reload';
    $plain->stop;
};

done_testing;
