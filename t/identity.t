# ticket_identity: one person, one place.  Whoever has an identity keeps the
# number from any device, at any node, until it is used up; what is no fit
# identity counts as none.

use lib 't/lib';
use Digest::SHA qw(sha256_hex);
use IO::Socket::UNIX;
use Ticket::Test;
use Ticket::Http::Jar;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

# A queue and a gate where "X-User" says who it is; what the gate tells its
# upstream comes back as the body.
my $extra = <<'CONF';
    location = /me     { ticket_identity $http_x_user; ticket_queue show; add_header X-Seen $ticket_identity always; }
    location = /here   { ticket_identity $http_x_user; ticket_gate show; proxy_pass http://unix:%%SOCK%%:/who; }
    location = /nobody { ticket_gate show; proxy_pass http://unix:%%SOCK%%:/who; }
    location = /vip    { ticket_identity "a fixed name "; ticket_gate show; proxy_pass http://unix:%%SOCK%%:/who; }
    location = /who    { return 200 "$http_x_ticket_session|$http_x_ticket_identity"; }
CONF
my %browser = (Accept => 'text/html');

sub nodes {
    my ($redis, $room, @names) = @_;
    return map { line_node($redis, $room, name => $_, extra => $extra) } @names;
}

# A join without a token, as another device would do it.
sub join_as {
    my ($node, $user, %more) = @_;
    return $node->http({method => 'POST', path => '/me', headers => {'X-User' => $user}, %more});
}

# A room with no slot left: number 1 is inside.
my $redis = Ticket::Redis->new(dir => temp_dir());
my @node  = nodes($redis, 'slots 1; session 60s; claim 30s; liveness 60s;', qw(a b));
my $jar   = Ticket::Http::Jar->new;
my $inside = join_as($node[0], 'first', jar => $jar);
is $inside->{json}{state}, 'admitted', 'the first is inside';

subtest 'a hundred joins at once, at two nodes' => sub {
    my @same = map { {method => 'POST', path => '/me', headers => {'X-User' => 'kim'}} } 1 .. 50;
    my $pid = open(my $other, '-|') // die "fork: $!\n";
    if ($pid == 0) {
        my $got = $node[1]->http_many(\@same, concurrency => 50);
        print join(' ', map { "$_->{status}:" . ($_->{json}{number} // 'none') } @$got);
        close STDOUT;
        require POSIX;
        POSIX::_exit(0);
    }
    my $got = $node[0]->http_many(\@same, concurrency => 50);
    my @all = (split(' ', do { local $/; <$other> }), map { "$_->{status}:" . ($_->{json}{number} // 'none') } @$got);
    close $other;
    is scalar @all, 100, 'all are answered';
    my %numbers = map { (split /:/)[1] => 1 } @all;
    is_deeply [keys %numbers], [2], 'L1: with one number, 2';
    ok !(grep { !/^20[01]:/ } @all), 'and a good status';
};

subtest 'from another device' => sub {
    my $again = join_as($node[1], 'kim');
    is $again->{status}, 200, 'a known one is 200, not 201';
    is $again->{json}{number}, 2, 'the same number';
    is $again->{json}{state}, 'waiting', 'waiting';
    my ($token) = map { /^ticket-queue-show=([^;]+)/ } @{$again->{set_cookie}};
    ok $token, 'with a queue token';
    is $node[0]->http('GET', '/queue', {'X-Ticket-Queue' => $token})->{json}{number}, 2, 'that is good elsewhere';
    my $lee = join_as($node[1], 'lee');
    is $lee->{status}, 201, 'somebody else is new';
    is $lee->{json}{number}, 3, 'and gets another number';
    is join_as($node[0], '')->{json}{number}, 4, 'nobody in particular gets a new one';
    is join_as($node[0], '')->{json}{number}, 5, 'each time';
    is $again->{headers}{'x-seen'}, 'kim', '$ticket_identity tells';
    my $inside_too = join_as($node[1], 'first');
    is $inside_too->{json}{state}, 'admitted', 'who is inside is so on another device';
    is $inside_too->{json}{session}, $inside->{json}{session}, 'in the same session';
    is occupied($redis), 1, 'L2: which takes one slot';
    ok !(grep { /^ticket-queue-show=/ } @{$inside_too->{set_cookie}}), 'and has no queue token';
};

subtest 'Redis is not told who it is' => sub {
    my $epoch = $redis->cmd('HGET', 'ticket:{show}', 'epoch');
    my %ids = @{$redis->cmd('HGETALL', "ticket:{show}:$epoch:ids")};
    is_deeply \%ids, {map { substr(sha256_hex($_->[0]), 0, 32) => $_->[1] } ['first', 1], ['kim', 2], ['lee', 3]},
        'but the beginning of its SHA-256';
    cmp_ok $redis->cmd('PTTL', "ticket:{show}:$epoch:ids"), '>', 0, 'for a time';
};

subtest 'called, admitted, left' => sub {
    leave_all([{jar => $jar, node => $node[0]}]);
    my $answer;
    eventually { ($answer = join_as($node[1], 'kim'))->{json}{state} eq 'admitted' } 5, 'the call is answered from a device without a token';
    is $answer->{json}{number}, 2, 'with the number of the other one';
    my ($pass) = map { /^ticket-pass-show=([^;]+)/ } @{$answer->{set_cookie}};
    is $node[0]->http('DELETE', '/queue', {'X-Ticket-Pass' => $pass})->{status}, 204, 'who leaves';
    $answer = join_as($node[0], 'kim');
    is $answer->{status}, 201, 'is new when coming back';
    is $answer->{json}{number}, 6, 'with another number';
    is join_as($node[1], 'kim')->{json}{number}, 6, 'kept from then on';
    my @many = map { {method => 'POST', path => '/me', headers => {'X-User' => 'first'}} } 1 .. 20;
    for my $number (7 .. 11) {
        my $got = $node[0]->http_many(\@many, concurrency => 20);
        my %numbers = map { $_->{json}{number} => 1 } @$got;
        is_deeply [keys %numbers], [$number], "twenty at once who come back get one, $number";
        my ($token) = map { /^ticket-queue-show=([^;]+)/ } @{$got->[0]{set_cookie}};
        is $node[0]->http('DELETE', '/queue', {'X-Ticket-Queue' => $token})->{status}, 204, 'and give it up';
    }
};

subtest 'a session that ran out' => sub {
    my ($node) = nodes(Ticket::Redis->new(dir => temp_dir(), name => 'redis-short'), 'slots 5; session 1s; claim 30s; liveness 60s;', 'short');
    my $first = join_as($node, 'kim');
    is $first->{json}{state}, 'admitted', 'inside';
    my $next;
    eventually { (($next = join_as($node, 'kim'))->{json}{number} // 0) > $first->{json}{number} } 5, 'has a new number after';
    is $next->{status}, 201, 'as somebody new';
    $node->stop;
};

subtest 'the gate' => sub {
    my ($node) = nodes(Ticket::Redis->new(dir => temp_dir(), name => 'redis-gate'), 'slots 2; session 60s; claim 30s; liveness 60s;', 'gate');
    my $page = $node->http('GET', '/here', {%browser, 'X-User' => 'kim'});
    like $page->{body}, qr/^\d+-1\|kim$/, 'a visitor is let in, and the upstream told who it is';
    my $again = $node->http('GET', '/here', {%browser, 'X-User' => 'kim'});
    is $again->{body}, $page->{body}, 'a second browser has the same session';
    is join_as($node, 'kim')->{json}{number}, 1, 'at the queue too';
    my ($pass) = map { /^ticket-pass-show=([^;]+)/ } @{$page->{set_cookie}};
    my @pass = ('X-Ticket-Pass' => $pass);
    like $node->http('GET', '/here', {@pass, 'X-User' => 'kim', 'X-Ticket-Identity' => 'forged', 'X_Ticket_Identity' => 'forged'})->{body},
        qr/\|kim$/, "the client's X-Ticket-Identity is not passed on";
    like $node->http('GET', '/nobody', {@pass, 'X-Ticket-Identity' => 'forged'})->{body}, qr/\|$/, 'not where there is none either';
    like $node->http('GET', '/vip', {@pass})->{body}, qr/\|a fixed name$/, 'blanks around it do not count';
    my $long = 'x' x 256;
    like $node->http('GET', '/here', {@pass, 'X-User' => $long})->{body}, qr/\|$long$/, '256 bytes are passed on';
    is $node->http('GET', '/here', {@pass, 'X-User' => "x$long"})->{body} =~ s/.*\|//r, '', '257 are none';
    like $node->error_log, qr/\[warn\].*"ticket_identity" counts as none/, 'which is logged';
    unlike $node->error_log, qr/"ticket_identity".*$long/, 'without the value';
    is join_as($node, 'lee')->{json}{state}, 'admitted', 'lee takes the last slot';
    is join_as($node, 'park')->{json}{number}, 3, 'park waits';
    my $waiting = $node->http('GET', '/here', {%browser, 'X-User' => 'park'});
    like $waiting->{body}, qr/You are in line/, 'the page';
    my ($token) = map { /^ticket-queue-show=([^;]+)/ } @{$waiting->{set_cookie}};
    is $node->http('GET', '/queue', {'X-Ticket-Queue' => $token})->{json}{number}, 3, 'with the number of the other device';
    $node->stop;
};

subtest 'what is no identity' => sub {
    my $node = line_node(Ticket::Redis->new(dir => temp_dir(), name => 'redis-odd'), 'slots 1; session 60s; claim 30s; liveness 60s;',
        name => 'odd', extra => <<'CONF');
        location ~ (?s)^/q/(?<who>.*)$ { ticket_identity $who; ticket_queue show; }
CONF
    for my $path (qw(/q/a%0d%0aX-Evil:%20b /q/a%7fb /q/a%09b /q/)) {
        my @numbers = map { $node->http('POST', $path)->{json}{number} } 1, 2;
        isnt $numbers[0], $numbers[1], "$path: none";
    }
    my @numbers = map { $node->http('POST', $_)->{json}{number} } '/q/%ea%b9%80', '/q/%20%ea%b9%80%20', '/q/%ea%b9%81';
    is $numbers[0], $numbers[1], 'letters of any script are one, blanks around it are not';
    isnt $numbers[1], $numbers[2], 'and one byte makes a difference';
    my $pass = line_node(Ticket::Redis->new(dir => temp_dir(), name => 'redis-odd2'), 'slots 9;', name => 'odd2', extra => <<'CONF');
        location = /x { return 200 "$http_x_ticket_identity|$http_x_evil|"; }
        location ~ (?s)^/g/(?<name>.*)$ { ticket_identity $name; ticket_gate show; rewrite (?s)^.*$ /x break; proxy_pass http://unix:%%SOCK%%; }
CONF
    is $pass->http('GET', '/g/a%0d%0aX-Evil:%20b', {%browser})->{body}, '||', 'no header can be smuggled in';
    is $pass->http('GET', '/g/a', {%browser})->{body}, 'a||', 'as one that is';
    $_->stop for $node, $pass;
};

subtest 'a client that goes away' => sub {
    my $own = Ticket::Redis->new(dir => temp_dir(), name => 'redis-away');
    my ($node) = nodes($own, 'slots 1; session 60s; claim 30s; liveness 60s;', 'away');
    join_as($node, 'first');
    my $socket = $node->target =~ s/^unix://r;
    my $fh = IO::Socket::UNIX->new(Peer => $socket) or die "connect: $!\n";
    kill STOP => $own->{pid};
    print {$fh} "POST /me HTTP/1.1\r\nHost: x\r\nX-User: kim\r\nContent-Length: 0\r\n\r\n";
    $fh->flush;
    sleep 0.1;
    close $fh;
    sleep 0.1;
    kill CONT => $own->{pid};
    my $kim;
    eventually { ($kim = join_as($node, 'kim'))->{status} == 200 } 5, 'is known when coming back';
    is $kim->{json}{number}, 2, 'by the number nobody heard of';
    is $kim->{json}{state}, 'waiting', 'and waits with it';
    $node->stop;
};

# After a draw places are not numbers any more.
subtest 'after a draw' => sub {
    my $own = Ticket::Redis->new(dir => temp_dir(), name => 'redis-draw');
    my $opens = time + 3;
    my $room = sprintf 'slots 1; session 60s; claim 30s; liveness 60s; draw on; timezone UTC; prequeue %s; opens %s;',
        map { my @t = gmtime; @t = gmtime $_; sprintf '%04d-%02d-%02dT%02d:%02d:%02d', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0] } $opens - 60, $opens;
    my @two = nodes($own, $room, 'draw-a', 'draw-b');
    my @users = map { "user$_" } 1 .. 20;
    my %number = map { $_ => join_as($two[0], $_)->{json}{number} } @users;
    is scalar(keys %{{reverse %number}}), 20, 'twenty numbers before it';
    is join_as($two[1], 'user7')->{json}{number}, $number{user7}, 'kept at the other node';
    my $in;
    eventually {
        my @now = map { join_as($two[$_ % 2], $users[$_]) } 0 .. $#users;
        die "numbers changed\n" if grep { $now[$_]{json}{number} != $number{$users[$_]} } 0 .. $#users;
        ($in) = grep { $now[$_]{json}{state} eq 'admitted' } 0 .. $#users;
        defined $in;
    } 20, 'all keep their numbers, and one is let in';
    my $again = join_as($two[($in + 1) % 2], $users[$in]);
    is $again->{json}{state}, 'admitted', 'who is so at the other node as well';
    is occupied($own), 1, 'L2: in one session';
    my ($pass) = map { /^ticket-pass-show=([^;]+)/ } @{$again->{set_cookie}};
    $two[0]->http('DELETE', '/queue', {'X-Ticket-Pass' => $pass});
    cmp_ok join_as($two[0], $users[$in])->{json}{number}, '>', 20, 'and new after leaving';
    $_->stop for @two;
};

subtest 'nginx -t' => sub {
    for (['ticket_identity;', qr/invalid number of arguments in "ticket_identity"/],
         ['ticket_identity a b;', qr/invalid number of arguments in "ticket_identity"/],
         ['ticket_identity $http_a; ticket_identity $http_b;', qr/"ticket_identity" directive is duplicate/],
         ['ticket_identity $no_such_variable;', qr/unknown "no_such_variable" variable/]) {
        my ($text, $message) = @$_;
        my ($status, $err) = $node[0]->test_conf(line_http('slots 1;', extra => "location = /x { $text ticket_queue show; }"));
        isnt $status, 0, $text;
        like $err, $message, 'says why';
    }
    my ($status, $err) = $node[0]->test_conf('ticket_identity $http_a;' . line_http('slots 1;'));
    is $status, 0, 'http level' or diag $err;
};

done_testing;
