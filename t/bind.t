# ticket_bind: tokens are good only where the value they are bound to is given
# again, at the queue and at the gate, which tells the upstream the value.

use lib 't/lib';
use Ticket::Test;
use Ticket::Http::Jar;
use Ticket::Redis;
use Ticket::Line;
use Ticket::Token qw(token);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $node  = line_node($redis, 'slots 1; session 60s; claim 30s; liveness 60s;', extra => <<'CONF');
    large_client_header_buffers 4 16k;
    location = /bq    { ticket_bind $http_x_device; ticket_queue show; }
    location = /bg    { ticket_bind $http_x_device; ticket_gate show queue=/bq; proxy_pass http://unix:%%SOCK%%:/who; }
    location = /bl    { ticket_bind $http_x_device; ticket_gate show queue=/bq check=local; proxy_pass http://unix:%%SOCK%%:/who; }
    location = /who   { return 200 "$http_x_ticket_session|$http_x_ticket_bind|"; }
    location = /other { ticket_gate show; proxy_pass http://unix:%%SOCK%%:/who; }
    location ~ (?s)^/odd/(?<odd>.*)$ { ticket_bind $odd; ticket_queue show; }
CONF
my ($key_id, $secret) = slurp($node->keys_file) =~ /^(\d+)\s+(\S+)/m;

sub ask {
    my ($method, $path, $device, %more) = @_;
    my @headers = (defined $device ? ('X-Device' => $device) : (), @{$more{headers} // []});
    return $node->http({method => $method, path => $path, headers => \@headers, jar => $more{jar}});
}

my %jar = map { $_ => Ticket::Http::Jar->new } qw(kim lee);
my $kim = ask('POST', '/bq', 'phone', jar => $jar{kim});
is $kim->{json}{state}, 'admitted', 'kim is inside';
my $lee = ask('POST', '/bq', 'desk', jar => $jar{lee});
is $lee->{json}{state}, 'waiting', 'lee waits';
my $queue = $jar{lee}->get('ticket-queue-show');
my $pass  = $jar{kim}->get('ticket-pass-show');
my ($epoch) = split /-/, $kim->{json}{session};

subtest 'the queue token' => sub {
    is ask('GET', '/bq', 'desk', headers => ['X-Ticket-Queue' => $queue])->{json}{number}, 2, 'is good with its value';
    is ask('GET', '/bq', '  desk ', headers => ['X-Ticket-Queue' => $queue])->{json}{number}, 2, 'blanks around it do not count';
    for my $method (qw(GET POST DELETE)) {
        for my $device ('phone', 'Desk', 'des', 'desk2', '', undef) {
            my $answer = ask($method, '/bq', $device, headers => ['X-Ticket-Queue' => $queue]);
            is "$answer->{status} " . ($answer->{json}{code} // ''), '403 bad_token', "$method with " . ($device // 'none');
        }
    }
    is ask('GET', '/queue', 'desk', headers => ['X-Ticket-Queue' => $queue])->{json}{code}, 'bad_token',
        'nor is it good where tokens are not bound';
    my %known = (room => 'show', secret => $secret, key_id => $key_id, epoch => $epoch, number => 2, kind => 'queue');
    is ask('GET', '/bq', 'desk', headers => ['X-Ticket-Queue' => token(%known, bind => 'desk')])->{status}, 200,
        'the test signs as the module does';
    is ask('GET', '/bq', 'desk', headers => ['X-Ticket-Queue' => token(%known)])->{json}{code}, 'bad_token',
        'one bound to nothing is refused where a value is given';
    is ask('GET', '/bq', '', headers => ['X-Ticket-Queue' => token(%known)])->{status}, 200, 'an empty value binds nothing';
};

subtest 'the pass' => sub {
    for my $path ('/bg', '/bl') {
        my $answer = ask('GET', $path, 'phone', headers => ['X-Ticket-Pass' => $pass]);
        is $answer->{body}, "$kim->{json}{session}|phone|", "$path: goes through with its value, which is told";
        for my $device ('desk', 'phone2', '', undef) {
            is ask('GET', $path, $device, headers => ['X-Ticket-Pass' => $pass])->{status}, 403, "$path: not with " . ($device // 'none');
        }
    }
    is ask('GET', '/other', 'phone', headers => ['X-Ticket-Pass' => $pass])->{status}, 403, 'nor where passes are not bound';
    for my $name ('X-Ticket-Bind', 'x_ticket_bind') {
        is ask('GET', '/bg', 'phone', headers => ['X-Ticket-Pass' => $pass, $name => 'forged'])->{body}, "$kim->{json}{session}|phone|",
            "the client's $name is not passed on";
    }
    my $free = Ticket::Token::pass(room => 'show', secret => $secret, key_id => $key_id, epoch => $epoch, number => 1);
    is ask('GET', '/other', undef, headers => ['X-Ticket-Pass' => $free, 'X-Ticket-Bind' => 'forged'])->{body}, "$epoch-1||",
        'not where nothing is bound either';
};

subtest 'a called visitor' => sub {
    ask('DELETE', '/bq', 'phone', headers => ['X-Ticket-Pass' => $pass]);
    eventually { ask('GET', '/bq', 'desk', jar => $jar{lee})->{json}{state} eq 'called' } 5, 'is called';
    is ask('GET', '/bg', 'phone', headers => ['X-Ticket-Queue' => $queue])->{status}, 403, 'L8: nobody else claims with the token';
    is ask('GET', '/bg', 'desk', jar => $jar{lee})->{body}, "$epoch-2|desk|", 'but the visitor does';
    is ask('GET', '/bg', 'desk', jar => $jar{lee})->{body}, "$epoch-2|desk|", 'and has a pass that is bound';
    is ask('GET', '/bg', 'phone', headers => ['X-Ticket-Pass' => $jar{lee}->get('ticket-pass-show')])->{status}, 403, 'to the same value';
};

subtest 'what cannot be bound' => sub {
    my $long = 'x' x 4096;
    my $answer = ask('POST', '/bq', $long);
    is $answer->{status}, 201, '4096 bytes can';
    my ($token) = map { /^ticket-queue-show=([^;]+)/ } @{$answer->{set_cookie}};
    is ask('GET', '/bq', $long, headers => ['X-Ticket-Queue' => $token])->{status}, 200, 'and all of them count:';
    is ask('GET', '/bq', substr($long, 0, 4095) . 'y', headers => ['X-Ticket-Queue' => $token])->{json}{code}, 'bad_token', 'the last one too';
    is ask('POST', '/bq', "x$long")->{status}, 400, '4097 are refused';
    is ask('GET', '/bg', "x$long", headers => [Accept => 'text/html'])->{status}, 400, 'at the gate as well';
    is ask('POST', '/odd/a%0d%0aX-Evil:%20b')->{status}, 400, 'and control characters';
    is ask('POST', '/odd/a')->{status}, 201, 'without them it is fine';
};

for (['ticket_bind;', qr/invalid number of arguments in "ticket_bind"/],
     ['ticket_bind $http_a; ticket_bind $http_b;', qr/"ticket_bind" directive is duplicate/]) {
    my ($status, $err) = $node->test_conf(line_http('slots 1;', extra => "location = /x { $_->[0] ticket_queue show; }"));
    isnt $status, 0, "nginx -t: $_->[0]";
    like $err, $_->[1], 'says why';
}

done_testing;
