# X-Ticket-Command: release, sent by the upstream of a gated location, ends
# the session: the pass is refused from then on, the next in line is called,
# and nobody outside sees the header.

use lib 't/lib';
use IO::Socket::UNIX;
use Ticket::Test;
use Ticket::Http::Jar;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Service;
use Ticket::Line qw(occupied);
use Time::HiRes qw(sleep);

my $dir = temp_dir();
for (['static.txt', 'static'], ['index.ssi', 'page <!--# include virtual="/free/release" -->']) {
    open my $fh, '>', "$dir/$_->[0]" or die "$_->[0]: $!\n";
    print {$fh} $_->[1];
    close $fh or die "$_->[0]: $!\n";
}

# An SCGI upstream that always releases.
open my $fh, '>', "$dir/scgi.pl" or die "scgi.pl: $!\n";
print {$fh} <<'END';
use strict;
use warnings;
use IO::Socket::UNIX;
$SIG{PIPE} = 'IGNORE';
$SIG{TERM} = sub { exit };
my $listen = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 10) or die "listen: $!\n";
while (1) {
    my $fh = $listen->accept or next;
    sysread $fh, my $in, 65536;
    print {$fh} "Status: 201 Created\r\nContent-Type: text/plain\r\nx-ticket-command: Release\r\n\r\nscgi";
    close $fh;
}
END
close $fh or die "scgi.pl: $!\n";
Ticket::Service->launch(name => 'scgi', command => [$^X, "$dir/scgi.pl", "$dir/scgi.sock"], log => "$dir/scgi.log")
    ->await(sub { Ticket::Service::accepts("$dir/scgi.sock") }, 10, 'scgi');

my $redis = Ticket::Redis->new(dir => $dir);
my $node  = Ticket::Nginx->new(redis => $redis, http => <<'CONF');
    ticket_redis unix:%%REDIS%% timeout=500ms;
    ticket_zone  rooms:4m interval=100ms;
    ticket_keys  %%KEYS%%;
    ticket_room  show  { slots 1000; session 10m; }
    ticket_room  one   { slots 1; session 10m; claim 1m; liveness 1m; early_polls allow; }
    ticket_room  two   { slots 1000; session 10m; }
    ticket_room  open  { mode passthrough; }
    proxy_cache_path %%DIR%%/cache keys_zone=cache:1m;
    root %%DIR%%;
    server {
        listen unix:%%SOCK%%;
        location = /queue     { ticket_queue show; }
        location = /queue/one { ticket_queue one; }
        location = /queue/two { ticket_queue two; }
        location = /plain     { ticket_gate show; proxy_pass http://unix:%%SOCK%%:/told/nothing; }
        location /gate/       { ticket_gate show; proxy_pass http://unix:%%SOCK%%:/told/; }
        location /local/      { ticket_gate show check=local; proxy_pass http://unix:%%SOCK%%:/told/; }
        location /one/        { ticket_gate one; proxy_pass http://unix:%%SOCK%%:/told/; }
        location /two/        { ticket_gate two; proxy_pass http://unix:%%SOCK%%:/told/; }
        location /open/       { ticket_gate open; proxy_pass http://unix:%%SOCK%%:/told/; }
        location /free/       { proxy_pass http://unix:%%SOCK%%:/told/; }
        location = /scgi      { ticket_gate show; scgi_pass unix:%%DIR%%/scgi.sock; }
        location = /cached    { ticket_gate show; proxy_cache cache; proxy_cache_valid 1h; proxy_pass http://unix:%%SOCK%%:/told/release; }
        location = /caught    { ticket_gate show; proxy_intercept_errors on; error_page 404 /static.txt; proxy_pass http://unix:%%SOCK%%:/told/missing; }
        location = /named     { ticket_gate show; proxy_intercept_errors on; error_page 404 = @other; proxy_pass http://unix:%%SOCK%%:/told/missing; }
        location = /into/gate { internal; ticket_gate show; proxy_pass http://unix:%%SOCK%%:/told/nothing; }
        location = /into/two  { internal; ticket_gate two; try_files /static.txt =404; }
        location = /into/up   { internal; proxy_pass http://unix:%%SOCK%%:/told/nothing; }
        location = /into/page { ticket_gate show; rewrite ^ /index.ssi break; ssi on; ssi_types *; }
        location = /auth      { ticket_gate show; auth_request /free/release; proxy_pass http://unix:%%SOCK%%:/told/nothing; }
        location @other       { rewrite ^ /told/nothing break; proxy_pass http://unix:%%SOCK%%; }
        location = /static.txt { internal; }
        location = /told/nothing { return 200 "nothing"; }
        location = /told/release { add_header X-Ticket-Command release; return 200 "released"; }
        location = /told/several {
            add_header x-ticket-command other; add_header X-TICKET-COMMAND release; add_header X-Ticket-Command ""; add_header X-Kept yes;
            return 200 "several";
        }
        location = /told/other   { add_header X-Ticket-Command releases; add_header X-Ticket-Commands release; return 200 "other"; }
        location = /told/error   { add_header X-Ticket-Command release always; return 500 "error"; }
        location = /told/missing { add_header X-Ticket-Command release always; return 404 "missing"; }
        location = /told/static  { add_header X-Ticket-Command release; add_header X-Accel-Redirect /static.txt; return 200 "no"; }
        location = /told/up      { add_header X-Ticket-Command release; add_header X-Accel-Redirect /into/up; return 200 "no"; }
        location = /told/gate    { add_header X-Ticket-Command release; add_header X-Accel-Redirect /into/gate; return 200 "no"; }
        location = /told/two     { add_header X-Ticket-Command release; add_header X-Accel-Redirect /into/two; return 200 "no"; }
        location = /told/unsafe  { add_header X-Ticket-Command release; add_header X-Accel-Redirect /../../x; return 200 "no"; }
        location = /told/moved   { add_header X-Ticket-Command release; return 302 /elsewhere; }
    }
CONF

sub ask { my ($jar, $path, %more) = @_; return $node->http({method => 'GET', path => $path, jar => $jar, %more}) }

sub enter {
    my ($queue) = @_;
    my $jar = Ticket::Http::Jar->new;
    my $answer = ask($jar, $queue // '/queue', method => 'POST');
    $answer->{json}{state} eq 'admitted' or die "not admitted: $answer->{body}\n";
    return $jar;
}

# A copy of the pass, which the jar loses with its cookie.
sub pass_of { return ['X-Ticket-Pass' => $_[0]->get('ticket-pass-' . ($_[1] // 'show'))] }

sub released {
    my ($path, $status, $body, %more) = @_;
    my $jar  = enter();
    my $pass = pass_of($jar);
    my $in   = occupied($redis);
    my $answer = ask($jar, $path, %more);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    subtest "$path " . ($more{method} // '') => sub {
        is $answer->{status}, $status, "status $status";
        is $answer->{body}, $body, 'the body is the one meant for the visitor' if defined $body;
        ok !exists $answer->{headers}{'x-ticket-command'}, 'the header is removed';
        is_deeply [map { s/=;.*//sr } @{$answer->{set_cookie}}], ['ticket-pass-show'], 'the cookie is cleared';
        ok !defined $jar->get('ticket-pass-show'), 'and gone';
        eventually { occupied($redis) == $in - 1 } 5, 'the session is over';
        is ask(undef, '/plain', headers => $pass)->{status}, 403, 'L8: the pass is refused when replayed';
        isnt ask(undef, '/queue', method => 'POST', headers => $pass)->{json}{session}, undef, 'the queue gives a new session';
    };
    return $answer;
}

released('/gate/release', 200, 'released');
released('/gate/release', 200, undef, method => 'HEAD');
released('/gate/release', 200, 'released', method => 'POST');
released('/local/release', 200, 'released');
is released('/gate/several', 200, 'several')->{headers}{'x-kept'}, 'yes', 'other headers stay';
released('/gate/error', 500, 'error');
released('/gate/missing', 404, 'missing');
is released('/gate/moved', 302)->{headers}{location}, 'http://localhost/elsewhere', 'a redirect to the shop';
released('/scgi', 201, 'scgi');
released('/caught', 404, 'static');
released('/named', 200, 'nothing');
released('/gate/static', 200, 'static');
released('/gate/unsafe', 404);
released('/gate/up', 200, 'nothing');
released('/gate/gate', 200, 'nothing');

subtest 'into a location of another room' => sub {
    my $jar = enter();
    ask($jar, '/queue/two', method => 'POST');
    my ($show, $two) = (pass_of($jar), pass_of($jar, 'two'));
    is ask($jar, '/gate/two')->{body}, 'static', 'whose pass is there too';
    ok !defined $jar->get('ticket-pass-show'), 'the one the order came from is released';
    ok defined $jar->get('ticket-pass-two'), 'and not the other';
    is ask(undef, '/plain', headers => $show)->{status}, 403, 'in Redis';
    is ask(undef, '/two/nothing', headers => $two)->{status}, 200, 'as well';
};

subtest 'what releases nobody' => sub {
    my $jar = enter();
    my $answer = ask($jar, '/gate/other');
    ok !exists $answer->{headers}{'x-ticket-command'}, 'another command: is removed';
    is $answer->{headers}{'x-ticket-commands'}, 'release', 'a longer name is left alone';
    is ask($jar, '/free/release')->{headers}{'x-ticket-command'}, 'release', 'a location without a gate: is left alone';
    is ask($jar, '/into/page')->{body}, 'page released', 'a subrequest by SSI: is not obeyed';
    is ask($jar, '/auth')->{body}, 'nothing', 'nor one by auth_request';
    $answer = ask($jar, '/open/release');
    is $answer->{status}, 200, 'a gate that lets everybody through';
    ok !exists $answer->{headers}{'x-ticket-command'}, 'removes it';
    is_deeply $answer->{set_cookie}, [], 'and clears nothing';
    is ask($jar, '/plain')->{status}, 200, 'the session is still there';
    is ask(undef, '/gate/release')->{status}, 403, 'who is not let in never gets there';
};

subtest 'an answer from the cache' => sub {
    my @jar = (enter(), enter());
    is ask($jar[0], '/cached')->{body}, 'released', 'one whom the upstream answered';
    is ask($jar[0], '/plain')->{status}, 403, 'is released';
    my $answer = ask($jar[1], '/cached');
    is $answer->{body}, 'released', 'one who gets it from the cache';
    ok !exists $answer->{headers}{'x-ticket-command'}, 'does not see the header';
    is ask($jar[1], '/plain')->{status}, 200, 'and stays in';
};

subtest 'a pass in a header' => sub {
    my $pass = pass_of(enter());
    my $answer = ask(undef, '/gate/release', headers => $pass);
    is_deeply $answer->{set_cookie}, [], 'has no cookie to be cleared';
    is ask(undef, '/plain', headers => $pass)->{status}, 403, 'but is over';
};

subtest 'the next in line' => sub {
    my $inside = enter('/queue/one');
    my $next = Ticket::Http::Jar->new;
    my $third = Ticket::Http::Jar->new;
    is ask($_, '/queue/one', method => 'POST')->{json}{state}, 'waiting', 'waits' for $next, $third;
    sleep 0.3;
    is ask($next, '/queue/one')->{json}{state}, 'waiting', 'still';
    ask($inside, '/one/release');
    eventually { ask($next, '/queue/one')->{json}{state} eq 'called' } 5, 'is called after the release';
    is occupied($redis, 'one'), 1, 'L2: into the one slot';
    is ask($third, '/queue/one')->{json}{state}, 'waiting', 'and nobody else';
    my $answer = ask($next, '/one/release');
    is $answer->{body}, 'released', 'admitted and released by one request';
    is_deeply [map { s/=;.*//sr } grep { /^ticket-pass/ } @{$answer->{set_cookie}}], ['ticket-pass-one'], 'gets one cookie, that clears';
    ok !$next->names, 'and keeps none';
    eventually { ask($third, '/queue/one')->{json}{state} eq 'called' } 5, 'the third one is called';
};

subtest 'while Redis is away' => sub {
    my $jar = enter();
    $redis->stop;
    eventually { ask(undef, '/queue', method => 'POST')->{status} == 503 } 5, 'away';
    is ask($jar, '/gate/release')->{body}, 'released', 'the answer arrives';
    ok !defined $jar->get('ticket-pass-show'), 'and clears the cookie';
};

done_testing;
